#pragma once

#include "core/autograd/variable.h"
#include "core/cuda/context.h"

// The inner layer of a transformer's MLP on a device in bfloat16, with GELU (tanh form: Hendrycks & Gimpel 2016, §2)
// where its two large products end: their values come past once in place of two and three times. On devices without
// warpgroups, and for other widths than 128 and 256, they are cuBLASLt's products and kernels of their own, which round
// at the same places.

namespace linscope::cuda {

/// pre = x·Wᵀ + b and hidden = gelu(pre). x [R,I], weight [O,I], bias [O], pre and hidden [R,O], all but weight and
/// bias BF16.
void geluProduct(const Tensor& x, const Variable& weight, const Variable& bias, const Tensor& pre,
                 const Tensor& hidden);

/// From dy, the gradient of the layer behind, dPre = dy·W ⊙ gelu'(pre), and once more hidden = gelu(pre) where it is
/// not empty. dy [R,C], weight [C,O] of the layer behind, pre, dPre and hidden [R,O], all but weight BF16. Returns rows
/// [·,O] whose sum is that of dPre's, for the bias' gradient.
Tensor geluProductBack(const Tensor& dy, const Variable& weight, const Tensor& pre, const Tensor& dPre,
                       const Tensor& hidden);

}  // namespace linscope::cuda
