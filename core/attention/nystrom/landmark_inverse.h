#pragma once

#include "core/attention/nystrom/landmarks.h"

namespace linscope {

/// y = Z·w for each head, Z the iterated pseudo-inverse of A = softmax(q̃k̃ᵀ/√D) over a sample's landmarks:
/// Z₀ = Aᵀ/‖A‖₁, Z ← ¼Z(13I − AZ(15I − AZ(7I − AZ))) (Xiong et al. 2021, eq. 11; ‖A‖∞ = 1, since rows of A sum
/// to 1). The gradient goes through all iterations and through ‖A‖₁.
///
/// Computed in double precision whatever the type: M×M numbers are few, and Z multiplies errors by its own norm.
/// q̃, k̃, w [B,M,H,D] → [B,M,H,D]; rows past a sample's last segment are 0.
Variable landmarkInverse(const Variable& q, const Variable& k, const Variable& w, const LandmarkSegments& segments,
                         std::int64_t iterations);

/// attend() between tokens and landmarks, on a device in single precision whatever the context's: Z multiplies what
/// rounding does to its scores and to w. q [B,T,H,D], k and v [B,S,H,D], keep [B,S] or empty → [B,T,H,D]
Variable landmarkAttend(const Variable& q, const Variable& k, const Variable& v, std::span<const float> keep);

// The same on a CUDA device; the functions above come here with tensors of one, checked.
namespace cuda {
Variable landmarkInverse(const Variable& q, const Variable& k, const Variable& w, const LandmarkSegments& segments,
                         std::int64_t iterations);
Variable landmarkAttend(const Variable& q, const Variable& k, const Variable& v, std::span<const float> keep);
}  // namespace cuda

}  // namespace linscope
