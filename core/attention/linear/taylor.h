#pragma once

#include "core/attention/feature_attention.h"

namespace linscope::cuda {

/// featureAttention() of Elementwise::Taylor on a CUDA device: the features of every token are written out, and summed
/// by decayScan(), once with the values and once with ones in their place. Beside what decayScan() takes, memory for
/// 4·B·T·H·M numbers, M = 1 + D + D(D+1)/2. q, k and v [B,T,H,D], keys and values of padding zeroed → [B,T,H,D].
Variable taylorAttention(const Variable& q, const Variable& k, const Variable& v,
                         const FeatureAttentionOptions& options);

}  // namespace linscope::cuda
