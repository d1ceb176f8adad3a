#pragma once

#include <type_traits>

#include "core/cuda/launch.cuh"

namespace linscope::cuda {

/// 16×16 threads of 4×4 scores each.
struct ExactTiles {
    using Number = float;
    static constexpr int kThreads = 256, kTall = 64, kBroad = 64, kParts = 1, kStages = 1, kRows = 4, kColumns = 4,
                         kSums = 1;
    static constexpr int kScoreStride = kBroad + 4;
    static constexpr float kRounding = 0.0f;  ///< more than what a number in a tile is off, of itself
    static constexpr bool kPairs = false;     ///< places 2n and 2n + 1 of a row are neighbours
    template <int W>
    static constexpr int kWide = W / 16;
    template <int W>
    static constexpr int kStride = W + 4;

    __device__ static int x() { return static_cast<int>(threadIdx.x) % 16; }
    __device__ static int y() { return static_cast<int>(threadIdx.x) / 16; }
    __device__ static int row(int i) { return 4 * y() + i; }
    __device__ static int column(int j) { return x() + 16 * j; }
    template <int W>
    __device__ static int wide(int c) {
        return x() * kWide<W> + c;
    }
    /// Whether this thread is the first of those that share its rows.
    __device__ static bool leads() { return x() == 0; }
    /// What factors are rounded to before they go into a tile.
    __device__ static float rounded(float value) { return value; }
    __device__ static Number number(float value) { return value; }
    /// Over the threads that share a row.
    __device__ static float rowMax(float value) {
        for (int offset = 8; offset > 0; offset /= 2)
            value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset, 16));
        return value;
    }
    __device__ static float rowSum(float value) {
        for (int offset = 8; offset > 0; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset, 16);
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

    /// result[row][column] += Σ_d a[row][d]·b[column][d]; both W wide.
    template <int W>
    __device__ static void rowsByRows(const float* a, const float* b, float (&result)[kRows][kColumns]) {
#pragma unroll 4
        for (int d = 0; d < W; d += 4) {
            float4 left[kRows], right[kColumns];
#pragma unroll
            for (int i = 0; i < kRows; ++i) left[i] = *reinterpret_cast<const float4*>(a + row(i) * kStride<W> + d);
#pragma unroll
            for (int j = 0; j < kColumns; ++j)
                right[j] = *reinterpret_cast<const float4*>(b + column(j) * kStride<W> + d);
#pragma unroll
            for (int i = 0; i < kRows; ++i)
#pragma unroll
                for (int j = 0; j < kColumns; ++j) {
                    float& sum = result[i][j];
                    sum = fmaf(left[i].x, right[j].x, sum);
                    sum = fmaf(left[i].y, right[j].y, sum);
                    sum = fmaf(left[i].z, right[j].z, sum);
                    sum = fmaf(left[i].w, right[j].w, sum);
                }
        }
    }

    /// result[row][w] += Σ_s p[row][s]·x[s][w]; p a tile of scores, x W wide.
    template <int W>
    __device__ static void scoresByRows(const float* p, const float* x, float (&result)[kRows][kWide<W>]) {
#pragma unroll 2
        for (int s = 0; s < kBroad; s += 4) {
            float4 left[kRows];
#pragma unroll
            for (int i = 0; i < kRows; ++i) left[i] = *reinterpret_cast<const float4*>(p + row(i) * kScoreStride + s);
#pragma unroll
            for (int l = 0; l < 4; ++l)
#pragma unroll
                for (int c = 0; c < kWide<W>; ++c) {
                    const float value = x[(s + l) * kStride<W> + wide<W>(c)];
#pragma unroll
                    for (int i = 0; i < kRows; ++i) {
                        const float factor = l == 0 ? left[i].x : l == 1 ? left[i].y : l == 2 ? left[i].z : left[i].w;
                        result[i][c] = fmaf(factor, value, result[i][c]);
                    }
                }
        }
    }

    /// The same with the threads' own places of p, by way of the shared memory `scratch`.
    template <int W>
    __device__ static void ownScoresByRows(const float (&own)[kRows][kColumns], float* scratch, const float* x,
                                           float (&result)[kRows][kWide<W>]) {
        __syncthreads();
#pragma unroll
        for (int i = 0; i < kRows; ++i)
#pragma unroll
            for (int j = 0; j < kColumns; ++j) scratch[row(i) * kScoreStride + column(j)] = own[i][j];
        __syncthreads();
        scoresByRows<W>(scratch, x, result);
    }

    /// result[row][w] += Σ_r p[r][row]·x[r][w]
    template <int W>
    __device__ static void columnsByRows(const float* p, const float* x, float (&result)[kRows][kWide<W>]) {
#pragma unroll 4
        for (int r = 0; r < kBroad; ++r) {
            const float4 left = *reinterpret_cast<const float4*>(p + r * kScoreStride + row(0));
#pragma unroll
            for (int c = 0; c < kWide<W>; ++c) {
                const float value = x[r * kStride<W> + wide<W>(c)];
                result[0][c] = fmaf(left.x, value, result[0][c]);
                result[1][c] = fmaf(left.y, value, result[1][c]);
                result[2][c] = fmaf(left.z, value, result[2][c]);
                result[3][c] = fmaf(left.w, value, result[3][c]);
            }
        }
    }
};

}  // namespace linscope::cuda
