#pragma once

#include <cstdint>

namespace linscope::blocks {

// What one instruction computes with; the compiler takes it apart where the processor's vectors are shorter.
#if defined(__AVX512F__)
inline constexpr std::int64_t kVectorBytes = 64;
#elif defined(__AVX__)
inline constexpr std::int64_t kVectorBytes = 32;
#else
inline constexpr std::int64_t kVectorBytes = 16;
#endif
template <typename T>
inline constexpr std::int64_t kLanes = kVectorBytes / static_cast<std::int64_t>(sizeof(T));

/// The left factor of a product: entry (i, p) is data[i·row + p·step].
template <typename T>
struct Left {
    const T* data;
    std::int64_t row, step;
};

// Twelve sums in registers, with the two vectors and the scalar of a step, fill the sixteen of AVX2.
inline constexpr std::int64_t kTileRows = 6;
inline constexpr std::int64_t kTileVectors = 2;
/// Columns of a panel.
template <typename T>
inline constexpr std::int64_t kPanel = kTileVectors* kLanes<T>;
template <typename T>
constexpr std::int64_t wholePanels(std::int64_t count) {
    return (count + kPanel<T> - 1) / kPanel<T> * kPanel<T>;
}

/// C [kRows, panel] = A·B (added to, with `add`), whose sums stay in registers over all `depth` steps.
template <typename T, int kRows>
void productTile(std::int64_t depth, const Left<T>& a, const T* b, T* c, std::int64_t stride, bool add) {
    typedef T Vector __attribute__((vector_size(kVectorBytes), aligned(alignof(T)), may_alias));
    Vector sum[kRows][kTileVectors] = {};
    for (std::int64_t p = 0; p < depth; ++p) {
        const auto* right = reinterpret_cast<const Vector*>(b + p * stride);
        const Vector first = right[0], second = right[1];
#pragma GCC unroll 6
        for (int i = 0; i < kRows; ++i) {
            const T left = a.data[i * a.row + p * a.step];
            sum[i][0] += left * first;
            sum[i][1] += left * second;
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
        auto* to = reinterpret_cast<Vector*>(c + i * stride);
        to[0] = add ? to[0] + sum[i][0] : sum[i][0];
        to[1] = add ? to[1] + sum[i][1] : sum[i][1];
    }
}

/// The tile of `rows` ≤ kRows rows.
template <typename T, int kRows = kTileRows>
void productTileOf(std::int64_t rows, std::int64_t depth, const Left<T>& a, const T* b, T* c, std::int64_t stride,
                   bool add) {
    if (rows == kRows) return productTile<T, kRows>(depth, a, b, c, stride, add);
    if constexpr (kRows > 1) productTileOf<T, kRows - 1>(rows, depth, a, b, c, stride, add);
}

/// C [m,n] = A·B (+ C, with `add`) on the calling thread; B [depth,n] and C have whole panels of n columns. For the
/// products within attention, whose factors lie in the cache and have a side of D: nothing is packed, and every sum is
/// in the order of the steps.
template <typename T>
void laneProduct(std::int64_t m, std::int64_t n, std::int64_t depth, const Left<T>& a, const T* b, T* c,
                 bool add = false) {
    for (std::int64_t column = 0; column < n; column += kPanel<T>) {
        std::int64_t row = 0;
        // Tiles of nearly one height: a low one would wait for its own sums.
        for (std::int64_t tiles = (m + kTileRows - 1) / kTileRows; tiles > 0; --tiles) {
            const std::int64_t rows = (m - row + tiles - 1) / tiles;
            productTileOf<T>(rows, depth, {a.data + row * a.row, a.row, a.step}, b + column, c + row * n + column, n,
                             add);
            row += rows;
        }
    }
}

}  // namespace linscope::blocks
