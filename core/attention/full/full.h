#pragma once

#include "core/attention/softmax_attention.h"

namespace linscope {

/// Exact softmax attention: o = softmax(QKᵀ/√D + what the position adds)·V (Vaswani et al. 2017, §3.2.1), causal or
/// not. Decodes with a key-value cache.
class FullAttention : public Mechanism {
public:
    FullAttention(const AttentionSizes& sizes, ParameterStore& parameters);
    bool takesBf16() const override { return true; }

protected:
    Variable forwardImpl(const AttentionInput& input) const override;
    Variable naiveImpl(const AttentionInput& input) const override;
    std::unique_ptr<DecodingState> startDecodingImpl(int layer) const override;

private:
    SoftmaxPosition m_position;
};

}  // namespace linscope
