#pragma once

#include "core/attention/nystrom/landmarks.h"

namespace linscope {

/// y = Z·w for each head, Z the iterated pseudo-inverse of A = softmax(q̃k̃ᵀ/√D) over a sample's landmarks:
/// Z₀ = Aᵀ/‖A‖₁, Z ← ¼Z(13I − AZ(15I − AZ(7I − AZ))) (Xiong et al. 2021, eq. 11; ‖A‖∞ = 1, since rows of A sum
/// to 1). The gradient goes through all iterations and through ‖A‖₁.
///
/// Computed in double precision whatever the type: M×M numbers are few, and Z multiplies errors by its own norm.
/// q̃, k̃, w [B,M,H,D] → [B,M,H,D]; rows past a sample's last segment are 0.
Variable landmarkInverse(const Variable& q, const Variable& k, const Variable& w, const Segments& segments,
                         std::int64_t iterations);

}  // namespace linscope
