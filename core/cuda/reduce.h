#pragma once

#include <cstdint>

#include "core/autograd/variable.h"
#include "core/tensor/arena.h"

namespace linscope::cuda {

/// What is summed over rows: of a gradient dy [R,C] a bias' gradient, Σ dy; with `ofGain` beside it, also that of a
/// norm's gain. What a kernel has summed of some rows each can be summed further as rows.
struct ColumnSums {
    const void* dy = nullptr;  ///< F32, or BF16 where `rounded`
    bool rounded = false;
    const float* ofGain = nullptr;  // [R,C] or null
    std::int64_t rows = 0, columns = 0;
    /// Of several gradients at one distance, whose biases' gradients are at another; without ofGain.
    std::int64_t count = 1, strideDy = 0, strideBias = 0;
};

/// Adds the sums to the gradients of `gain` (absent without ofGain) and `bias`, the first of `count`, where they ask
/// for one. A fixed number of parts is summed first, and then the parts in order: the same bits every time.
void sumColumns(Arena& arena, const ColumnSums& sums, const Variable& gain, const Variable& bias);

}  // namespace linscope::cuda
