#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/attention/mechanism.h"
#include "core/autograd/variable.h"
#include "core/experiment/experiment.h"
#include "core/nn/parameters.h"

namespace linscope {

/// Sees the tensors of a forward pass as they are computed; for snapshots and for finding what went wrong.
class TensorObserver {
public:
    virtual ~TensorObserver() = default;
    /// `layer` is −1 outside the blocks. Names: "embedding", "query", "key", "value" ([B,T,H,D] each),
    /// "attention", "block", "logits".
    virtual void onTensor(int layer, std::string_view name, const Tensor& tensor) = 0;
};

/// A transformer encoder with learned positions: x = embedding + position; pre-norm blocks
/// x += O(attention(LN x)), x += W₂·gelu(W₁·LN x) (Vaswani et al. 2017; pre-norm: Xiong et al. 2020);
/// a last norm; a linear head to the vocabulary. Attention is the lane's mechanism.
class Encoder {
public:
    /// Adds its parameters to `parameters`: normal with deviation 0.02, the two projections that write
    /// to the residual with 0.02/√(2L) (Radford et al. 2019, §2.3); biases 0, gains 1.
    Encoder(const ModelOptions& options, std::int64_t vocabulary, std::int64_t length, const Mechanism& mechanism,
            ParameterStore& parameters);

    struct Input {
        std::int64_t batch = 0, length = 0;
        std::span<const std::int32_t> tokens;    // [B,T]
        std::span<const std::int64_t> selected;  // [N] flat places whose logits are wanted
        TensorObserver* observer = nullptr;
    };
    /// Logits of the selected places [N,V]. What `input` refers to must outlive the tape.
    Variable forward(Tape& tape, const Input& input) const;

private:
    struct Linear {
        const Parameter *weight = nullptr, *bias = nullptr;
    };
    struct Block {
        Linear norm1, query, key, value, output, norm2, up, down;
    };
    Variable block(const Block& block, int layer, const Variable& x, TensorObserver* observer) const;

    ModelOptions m_options;
    const Mechanism& m_mechanism;
    const Parameter *m_tokens = nullptr, *m_positions = nullptr;
    std::vector<Block> m_blocks;
    Linear m_norm, m_head;
};

}  // namespace linscope
