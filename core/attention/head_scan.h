#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/parallel.h"
#include "core/ops/gemm.h"
#include "core/tensor/arena.h"

// What mechanisms share that walk along a sequence by chunks, with a state for each head.

namespace linscope {

/// Calls function(i, scratch) for i in [0, heads), each head on one thread with `scratchPerThread` numbers of its
/// own. A head is one thread's alone, so that results do not depend on their number.
template <typename T, typename Function>
void forEachHead(std::int64_t heads, Arena& arena, std::int64_t scratchPerThread, Function&& function) {
    const std::int64_t threads = std::min<std::int64_t>(threadCount(), heads);
    T* scratch = arena.tensor({threads, scratchPerThread}, dtypeOf<T>).template as<T>();
    parallelFor(threads, 1, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t part = first; part < last; ++part)
            for (std::int64_t i = heads * part / threads; i < heads * (part + 1) / threads; ++i)
                function(i, scratch + part * scratchPerThread);
    });
}

/// A matrix as it lies in memory: rows `stride` apart; `transposed`: as a factor it stands for its transpose.
template <typename T>
struct Factor {
    const T* data;
    std::int64_t stride;
    bool transposed = false;
    Factor operator~() const { return {data, stride, !transposed}; }
};

/// What a product is written to: c = product + keep·c.
template <typename T>
struct Target {
    T* data;
    std::int64_t stride;
    double keep = 0;
};

/// c [m,n] = alpha·a·b + keep·c with a [m,k] and b [k,n].
template <typename T>
void product(std::int64_t m, std::int64_t n, std::int64_t k, const Factor<T>& a, const Factor<T>& b, const Target<T>& c,
             double alpha = 1) {
    multiply({.m = m,
              .n = n,
              .k = k,
              .transposeA = a.transposed,
              .transposeB = b.transposed,
              .lda = a.stride,
              .ldb = b.stride,
              .ldc = c.stride,
              .alpha = alpha,
              .beta = c.keep},
             a.data, b.data, c.data);
}

}  // namespace linscope
