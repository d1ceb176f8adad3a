#pragma once

#include <cstdint>
#include <memory>
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

/// What a decoder remembers of one layer.
struct LayerMemory {
    std::unique_ptr<DecodingState> attention;
    std::vector<float> recent;  // [K−1,C] the newest tokens as they come to the block's short convolution
};

/// What a task asks of a model.
struct ModelShape {
    std::int64_t vocabulary = 1;  // V
    std::int64_t outputs = 1;     ///< logits of a prediction: V, or classes
    std::int64_t length = 1;      // T
    bool pooled = false;          ///< one prediction for each sequence
};

/// A transformer: x = embedding (+ position); pre-norm blocks x += O(attention(LN x)), x += W₂·gelu(W₁·LN x)
/// (Vaswani et al. 2017; pre-norm: Xiong et al. 2020); a last norm; a linear head. Attention is the lane's mechanism;
/// encoder and decoder differ in what it may see and in nothing else. With `shortConvolution` taps a block
/// begins with x += convolution(x), shortConvolution() of a filter of its own, centred in an encoder.
/// Gradients within a block are given back behind it (released()); with `activationCheckpointing` a recording tape
/// keeps of each block its input alone (recomputed()).
class Transformer {
public:
    /// Adds its parameters to `parameters`: normal with deviation 0.02, the two projections that write
    /// to the residual with 0.02/√(2L) (Radford et al. 2019, §2.3); biases 0, gains 1; a convolution's
    /// taps with 1/√(3K), the deviation of the usual uniform start.
    Transformer(const ModelOptions& options, const ModelShape& shape, const Mechanism& mechanism,
                ParameterStore& parameters);

    struct Input {
        std::int64_t batch = 0, length = 0;
        std::span<const std::int32_t> tokens;    // [B,T]
        std::span<const std::int64_t> selected;  // [N] flat places whose logits are wanted
        std::span<const float> keep = {};        // [B,T] 0 for padding, or empty
        // All of them in the memory of the tape's device.
        TensorObserver* observer = nullptr;
    };
    /// Logits [N, outputs] of the selected places; with mean pooling [B, outputs] of the sequences. What `input`
    /// refers to must outlive the tape.
    Variable forward(Tape& tape, const Input& input) const;

    /// What decoding begins with: a memory for each layer.
    std::vector<LayerMemory> startDecoding() const;
    /// Logits [1, outputs] of the last of n more tokens of a single sequence, the first of them at `place` (0 is the
    /// sequence's first). `layers` [L] hold what is remembered of the tokens before them, and take these in: one by a
    /// step, several by blocks (DecodingState::read()), which takes memory for all of them at once. Throws Error, and
    /// takes nothing in, on places beyond T with learned positions and on a token outside [0,V). `tape` must not
    /// record.
    Variable forwardNext(Tape& tape, std::span<const std::int32_t> tokens, std::int64_t place,
                         std::span<LayerMemory> layers) const;

    const ModelShape& shape() const { return m_shape; }
    /// Learned positions end with T; the other schemes have a place for every token.
    bool placesEnd() const { return m_position == Position::Learned; }

private:
    struct Linear {
        const Parameter *weight = nullptr, *bias = nullptr;
    };
    struct Block {
        Linear norm1, query, key, value, output, norm2, up, down;
        const Parameter* taps = nullptr;  ///< [K,C] where there is a short convolution
    };
    /// One block without its convolution; attend(q, k, v) gives o, all [B,T,H,D], q and k not yet turned.
    template <typename Attend>
    Variable block(const Block& block, const Variable& x, Attend&& attend) const;
    /// The block of that layer, its convolution included. x [B,T,C]
    Variable wholeBlock(int layer, Variable x, const Input& input) const;
    /// Logits of the rows chosen: the last norm and the head.
    Variable head(const Variable& chosen) const;
    /// The vectors [n,C] of the places from `place` on for the embedding, or nothing.
    Variable positionRows(Tape& tape, std::int64_t place, std::int64_t count) const;

    ModelOptions m_options;
    ModelShape m_shape;
    Position m_position;
    bool m_meanPooled;
    const Mechanism& m_mechanism;
    const Parameter* m_tokens = nullptr;
    const Parameter* m_positions = nullptr;  ///< Learned and Sinusoidal alone
    std::vector<Block> m_blocks;
    Linear m_norm, m_head;
};

}  // namespace linscope
