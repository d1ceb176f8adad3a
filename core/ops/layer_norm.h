#pragma once

#include "core/ops/linear.h"

namespace linscope {

/// y = (x − mean)/√(var + ε)·gain + bias over the last axis (Ba, Kiros & Hinton 2016), ε = 1e-5.
/// x [..., C], gain [C], bias [C] → [..., C].
Variable layerNorm(const Variable& x, const Variable& gain, const Variable& bias, Readers readers = Readers::Any);

// The same on a CUDA device; the functions above come here with tensors of one, checked.
namespace cuda {
Variable layerNorm(const Variable& x, const Variable& gain, const Variable& bias, Readers readers);
/// The same to y, a result of x, gain and bias. With `onto` x's value is written here: onto plus what y has in
/// bfloat16, the residual's other half.
void layerNormInto(const Variable& y, const Variable& x, const Variable& gain, const Variable& bias,
                   const Variable& onto);
}  // namespace cuda

}  // namespace linscope
