#pragma once

#include <span>

#include "core/autograd/variable.h"

namespace linscope {

/// o_i = D^−½·Σ_{j≤i} γ_h^(i−j)·⟨q_i, k_j⟩·v_j for each head, by chunks of 64 tokens (Sun et al. 2023, eq. 7): inside
/// a chunk as a masked product, between chunks through the state S [D,D]. The backward pass walks forward with S for
/// dq and backward with dL/dS for dk and dv, so that beside the outputs only O(D²) numbers a head are kept.
///
/// q, k, v [B,T,H,D], gammas [H] → [B,T,H,D]. The gammas must outlive the tape. `carried` [H,D,D]: the S that the
/// sequence goes on from, and then the one that it leaves (checkCarried()); empty: it begins with 0.
Variable retentionScan(const Variable& q, const Variable& k, const Variable& v, std::span<const double> gammas,
                       std::span<float> carried = {});

}  // namespace linscope
