#pragma once

#include <cstdint>

#include "core/autograd/variable.h"
#include "core/tensor/arena.h"

namespace linscope::cuda {

/// Sums over rows of a gradient dy [R,C]: of a bias Σ dy; with x, mean and scale also of a norm's gain,
/// Σ dy·(x − mean)·scale.
struct ColumnSums {
    const float* x = nullptr;  // [R,C] or null
    const void* dy = nullptr;  ///< F32, or BF16 where `rounded`
    bool rounded = false;
    const float *mean = nullptr, *scale = nullptr;  // [R]
    std::int64_t rows = 0, columns = 0;
    /// Of several gradients at one distance, whose biases' gradients are at another; without x.
    std::int64_t count = 1, strideDy = 0, strideBias = 0;
};

/// Adds the sums to the gradients of `gain` (absent without x) and `bias`, the first of `count`, where they ask for
/// one. A fixed number of parts is summed first, and then the parts in order: the same bits every time.
void sumColumns(Arena& arena, const ColumnSums& sums, const Variable& gain, const Variable& bias);

}  // namespace linscope::cuda
