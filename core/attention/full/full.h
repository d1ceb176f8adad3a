#pragma once

#include "core/attention/mechanism.h"

namespace linscope {

/// Exact softmax attention: o = softmax(QKᵀ/√D)·V (Vaswani et al. 2017, §3.2.1).
class FullAttention : public Mechanism {
public:
    using Mechanism::Mechanism;

protected:
    Variable forwardImpl(const AttentionInput& input) const override;
    Variable naiveImpl(const AttentionInput& input) const override;
};

/// softmax(q·kᵀ/√D)·v in plain operations, the map stored whole: what naive definitions are made of.
/// q [B,T,H,D], k and v [B,S,H,D], keep [B,S] or empty.
Variable softmaxAttention(const Variable& q, const Variable& k, const Variable& v, std::span<const float> keep = {});

/// x [B,T,H,D] with the positions whose keep [B,T] is 0 set to zero.
Variable scaleHeads(const Variable& x, std::span<const float> keep);

}  // namespace linscope
