#pragma once

#include <span>

#include "core/autograd/variable.h"

namespace linscope {

/// a + b, of one shape.
Variable add(const Variable& a, const Variable& b);

/// factor·x
Variable scale(const Variable& x, double factor);

/// Rows of the last axis times `factors` [rows], constants: zeroes padding where a factor is 0, whatever
/// the row holds (NaN included). x [..., C], rows = product of the other axes.
Variable scaleRows(const Variable& x, std::span<const float> factors);

/// The same numbers in another shape.
Variable reshape(const Variable& x, const Shape& shape);

/// Axes 1 and 2 of [A,B,C,D] exchanged: [A,C,B,D]. (Between [B,T,H,D] and [B,H,T,D].)
Variable swapMiddle(const Variable& x);

/// Tensors of one shape [...] behind one another: [N, ...].
Variable stack(std::span<const Variable> parts);

/// The first `count` columns of the last axis. x [..., C] → [..., count]
Variable firstColumns(const Variable& x, std::int64_t count);

// The same on a CUDA device; the functions above come here with tensors of one, checked.
namespace cuda {
Variable add(const Variable& a, const Variable& b);
Variable scale(const Variable& x, double factor);
Variable scaleRows(const Variable& x, std::span<const float> factors);
/// Adds y's gradient to x's, of as many elements.
void addGradient(const Variable& x, const Variable& y);
}  // namespace cuda

}  // namespace linscope
