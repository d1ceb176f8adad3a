#pragma once

#include <array>

#include "core/autograd/variable.h"

namespace linscope {

enum class Activation {
    None,
    Gelu,  ///< tanh form (Hendrycks & Gimpel 2016, §2)
};

/// Who reads a result. What products alone read, or what rounds it to their factors anyway, is kept in bfloat16 on a
/// device with precision "bf16"; everything else is in single precision.
enum class Readers { Any, Products };

/// y = f(x·Wᵀ + b), f the activation. x [..., I], weight [O, I], bias [O] → [..., O].
/// Bias and activation are applied while a block of rows is still in cache.
Variable linear(const Variable& x, const Variable& weight, const Variable& bias,
                Activation activation = Activation::None, Readers readers = Readers::Any);

/// The weight and bias of a linear layer.
struct Layer {
    Variable weight, bias;  // [O, I], [O]
};
/// Three layers of one size on the same x [..., I]: attention's q, k and v, each in `shape`, which is a result's or has
/// more axes. On a device a batch of products, where the layers lie at one distance in memory.
using Three = std::array<Variable, 3>;
Three linears(const Variable& x, const std::array<Layer, 3>& layers, const Shape& shape, Readers readers);
/// Lays the gradients of results of linears() side by side, when the backward pass comes to `output`, which they all
/// went into: then those of the layers are a batch of products as well.
void gradientsSideBySide(const Variable& output, const Three& results);

// The same on a CUDA device; the functions above come here with tensors of one, checked.
namespace cuda {
/// `shape` is the result's.
Variable linear(const Variable& x, const Variable& weight, const Variable& bias, Activation activation, Readers readers,
                const Shape& shape);
Three linears(const Variable& x, const std::array<Layer, 3>& layers, const Shape& shape, Readers readers);
}  // namespace cuda

}  // namespace linscope
