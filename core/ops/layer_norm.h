#pragma once

#include "core/ops/linear.h"

namespace linscope {

/// y = (x − mean)/√(var + ε)·gain + bias over the last axis (Ba, Kiros & Hinton 2016), ε = 1e-5.
/// x [..., C], gain [C], bias [C] → [..., C].
Variable layerNorm(const Variable& x, const Variable& gain, const Variable& bias, Readers readers = Readers::Any);

// The same on a CUDA device; the functions above come here with tensors of one, checked.
namespace cuda {
Variable layerNorm(const Variable& x, const Variable& gain, const Variable& bias, Readers readers);
}  // namespace cuda

}  // namespace linscope
