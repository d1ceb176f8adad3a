#pragma once

#include "core/autograd/variable.h"

namespace linscope {

enum class Activation {
    None,
    Gelu,  ///< tanh form (Hendrycks & Gimpel 2016, §2)
};

/// y = f(x·Wᵀ + b), f the activation. x [..., I], weight [O, I], bias [O] → [..., O].
/// Bias and activation are applied while a block of rows is still in cache.
Variable linear(const Variable& x, const Variable& weight, const Variable& bias,
                Activation activation = Activation::None);

// The same on a CUDA device; the functions above come here with tensors of one, checked.
namespace cuda {
/// `shape` is the result's.
Variable linear(const Variable& x, const Variable& weight, const Variable& bias, Activation activation,
                const Shape& shape);
}  // namespace cuda

}  // namespace linscope
