#pragma once

#include <cstdint>
#include <span>

#include "core/autograd/variable.h"

namespace linscope {

/// The gated delta rule (Yang et al. 2024, arXiv:2412.06464, §3.1) for each head, from S_0 = 0:
///     u_t = β_t·(v_t − α_t·S_{t−1}ᵀ·k_t),  S_t = α_t·S_{t−1} + k_t·u_tᵀ,  o_t = D^−½·S_tᵀ·q_t,
/// which is S_t = α_t·(I − β_t·k_t·k_tᵀ)·S_{t−1} + β_t·k_t·v_tᵀ. Computed by chunks of `chunk` tokens: with G the sums
/// of log α inside the chunk, Γ_t = e^G_t, and A_tj = β_t·e^(G_t−G_j)·⟨k_t, k_j⟩ for j < t,
///     (I + A)·U = diag(β)·(V − diag(Γ)·K·S_0)
/// is one triangular solve (the WY form of §3.3 there, with S_0 put in before the solve and not after it, since chunks
/// follow one another on one thread). The rest are matrix products. All exponents are sums of log α ≤ 0 over part of a
/// chunk: nothing overflows.
///
/// Time O(T·(C·D + D²)) a head; kept for the backward pass: U, and S before each chunk, O(T·D + T/C·D²).
///
/// q, k, v [B,T,H,D], beta [B,T,H], logAlpha [B,T,H] or absent (α = 1) → [B,T,H,D]. The rule contracts where
/// 0 ≤ β·‖k‖² ≤ 2, which is for the caller to see to. `carried` [H,D,D]: the S_0 that the sequence goes on from, and
/// then the S that it leaves (checkCarried()); empty: S_0 = 0.
Variable deltaRule(const Variable& q, const Variable& k, const Variable& v, const Variable& beta,
                   const Variable& logAlpha, std::int64_t chunk, std::span<float> carried = {});

namespace cuda {
/// The same by chunks of 64 tokens; deltaRule() comes here with tensors of a device, checked. In single precision
/// whatever the context's: what one token writes, all after it read and correct.
Variable deltaRule(const Variable& q, const Variable& k, const Variable& v, const Variable& beta,
                   const Variable& logAlpha);
}  // namespace cuda

}  // namespace linscope
