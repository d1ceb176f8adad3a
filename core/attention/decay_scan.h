#pragma once

#include <cstdint>
#include <span>

#include "core/autograd/variable.h"

namespace linscope::cuda {

inline constexpr std::int64_t kMostScanHeads = 256;

struct DecayScanOptions {
    double scale = 1;
    bool causal = true;                   ///< or every token sees all others, without a decay
    std::span<const double> gammas = {};  ///< [H] in (0, 1]; empty: all are 1
};

/// o_i = scale·Σ_{j≤i} γ_h^(i−j)·⟨q_i, k_j⟩·v_j on a CUDA device, by chunks of 64 tokens: inside a chunk as a masked
/// product, from chunk to chunk through the state Σ k·vᵀ [M,D]. All chunks are computed beside one another, but for a
/// running sum over their states. In single precision whatever the context's: products of tokens are not bounded as
/// a softmax's weights are.
///
/// q and k [B,T,H,M], v [B,T,H,D], D ≤ kMostHeadWidth, H ≤ kMostScanHeads → [B,T,H,D].
Variable decayScan(const Variable& q, const Variable& k, const Variable& v, const DecayScanOptions& options);

}  // namespace linscope::cuda
