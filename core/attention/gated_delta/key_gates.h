#pragma once

#include <span>

#include "core/autograd/variable.h"

namespace linscope {

/// x_bth = ⟨w_h, k_bth⟩ + b_h: what a gate of each head is made of. k [B,T,H,D], weight [H,D], bias [H] → [B,T,H].
Variable keyGate(const Variable& k, const Variable& weight, const Variable& bias);
/// The same in plain operations.
Variable plainKeyGate(const Variable& k, const Variable& weight, const Variable& bias);

/// Writing strength β = most·σ(x), and log α = log σ(x) = −log(1 + e^−x), by element.
Variable writingStrength(const Variable& x, double most);
Variable logForgetting(const Variable& x);

// The same on a CUDA device; the functions above come here with tensors of one, checked.
namespace cuda {
Variable keyGate(const Variable& k, const Variable& weight, const Variable& bias);
Variable writingStrength(const Variable& x, double most);
Variable logForgetting(const Variable& x);
}  // namespace cuda

}  // namespace linscope
