#pragma once

#include <type_traits>

#include "core/cuda/launch.cuh"

namespace linscope::cuda {

/// Four warps of 16 rows each; products of 16×8×8 by mma.sync. Sums are in single precision.
struct TensorTiles {
    using Number = float;
    static constexpr int kThreads = 128, kTall = 64, kBroad = 64, kParts = 1, kStages = 1, kRows = 2,
                         kColumns = kBroad / 4, kSums = 1;
    static constexpr int kScoreStride = kBroad + 4;
    static constexpr float kRounding = 0x1p-10f;  ///< more than what a number in a tile is off, of itself
    static constexpr bool kPairs = true;          ///< places 2n and 2n + 1 of a row are neighbours
    template <int W>
    static constexpr int kWide = W / 4;
    template <int W>
    static constexpr int kStride = W + 4;

    __device__ static int lane() { return static_cast<int>(threadIdx.x % 32); }
    __device__ static int group() { return lane() / 4; }
    __device__ static int inGroup() { return lane() % 4; }
    __device__ static int firstRow() { return static_cast<int>(threadIdx.x / 32 * 16); }
    __device__ static int row(int i) { return firstRow() + group() + 8 * i; }
    __device__ static int column(int j) { return j / 2 * 8 + inGroup() * 2 + j % 2; }
    template <int W>
    __device__ static int wide(int c) {
        return column(c);
    }
    __device__ static bool leads() { return inGroup() == 0; }
    __device__ static float rowMax(float value) {
        for (int offset = 2; offset > 0; offset /= 2) value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset));
        return value;
    }
    __device__ static float rowSum(float value) {
        for (int offset = 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset);
        return value;
    }

    __device__ static void addRowSums(const float (&own)[kRows][kColumns], float (&sums)[kRows][kSums]) {
#pragma unroll
        for (int i = 0; i < kRows; ++i)
#pragma unroll
            for (int j = 0; j < kColumns; ++j) sums[i][0] += own[i][j];
    }
    __device__ static float wholeSum(const float (&part)[kSums]) {
        return rowSum(part[0]);
    }

    template <int W>
    using Taken = const float*;
    template <int W>
    __device__ static const float* taken(const float* tile) {
        return tile;
    }

    __device__ static float rounded(float value) {
        return roundedToTf32(value);
    }
    __device__ static Number number(float value) {
        return rounded(value);
    }

    /// result[·][2n], [·][2n+1] += a·b for N columns of eight; left(row, k) and right(k, column) read the factors.
    template <int K, int N, typename Left, typename Right>
    __device__ static void products(const Left& left, const Right& right, float (&result)[kRows][2 * N]) {
        const int g = group(), t = inGroup(), first = firstRow();
#pragma unroll 4
        for (int k = 0; k < K; k += 8) {
            const float a[4] = {left(first + g, k + t), left(first + g + 8, k + t), left(first + g, k + t + 4),
                                left(first + g + 8, k + t + 4)};
#pragma unroll
            for (int n = 0; n < N; ++n)
                multiplyTf32(a, right(k + t, n * 8 + g), right(k + t + 4, n * 8 + g), result[0][2 * n],
                             result[0][2 * n + 1], result[1][2 * n], result[1][2 * n + 1]);
        }
    }

    template <int W>
    __device__ static void rowsByRows(const float* a, const float* b, float (&result)[kRows][kColumns]) {
        products<W, kColumns / 2>([=](int r, int k) { return a[r * kStride<W> + k]; },
                                  [=](int k, int c) { return b[c * kStride<W> + k]; }, result);
    }
    template <int W>
    __device__ static void scoresByRows(const float* p, const float* x, float (&result)[kRows][kWide<W>]) {
        products<kBroad, kWide<W> / 2>([=](int r, int k) { return p[r * kScoreStride + k]; },
                                       [=](int k, int c) { return x[k * kStride<W> + c]; }, result);
    }
    /// Straight from the registers: a sum does not mind the order of its terms, so that the two columns which a thread
    /// has of each eight take the places in which the instruction wants its factors.
    template <int W>
    __device__ static void ownScoresByRows(const float (&own)[kRows][kColumns], float*, const float* x,
                                           float (&result)[kRows][kWide<W>]) {
        const int g = group(), t = inGroup();
#pragma unroll
        for (int k = 0; k < kColumns / 2; ++k) {
            const float a[4] = {rounded(own[0][2 * k]), rounded(own[1][2 * k]), rounded(own[0][2 * k + 1]),
                                rounded(own[1][2 * k + 1])};
            const float* rows = x + (8 * k + 2 * t) * kStride<W> + g;
#pragma unroll
            for (int n = 0; n < kWide<W> / 2; ++n)
                multiplyTf32(a, rows[8 * n], rows[kStride<W> + 8 * n], result[0][2 * n], result[0][2 * n + 1],
                             result[1][2 * n], result[1][2 * n + 1]);
        }
    }
    template <int W>
    __device__ static void columnsByRows(const float* p, const float* x, float (&result)[kRows][kWide<W>]) {
        products<kBroad, kWide<W> / 2>([=](int r, int k) { return p[k * kScoreStride + r]; },
                                       [=](int k, int c) { return x[k * kStride<W> + c]; }, result);
    }
};

}  // namespace linscope::cuda
