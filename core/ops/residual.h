#pragma once

#include "core/ops/linear.h"

// What is added to the residual of a transformer's block, each by as few passes over memory as a device allows.

namespace linscope {

/// A sum with a residual, and its layer norm, which products read.
struct Residual {
    Variable sum, normed;
};
/// onto + x·Wᵀ + b of `layer`, onto [..., O], and that normed by gain and bias of `norm`. On a device in bfloat16 what
/// is added is rounded, and added by the norm.
Residual residual(const Variable& onto, const Variable& x, const Layer& layer, const Layer& norm);

/// onto + down(gelu(up(x))): the two layers of a transformer's MLP with the residual. onto and x [..., C]
Variable feedForward(const Variable& onto, const Variable& x, const Layer& up, const Layer& down);

// The same on a CUDA device; the functions above come here with tensors of one, checked.
namespace cuda {
Residual residual(const Variable& onto, const Variable& x, const Layer& layer, const Layer& norm);
Variable feedForward(const Variable& onto, const Variable& x, const Layer& up, const Layer& down);
}  // namespace cuda

}  // namespace linscope
