#pragma once

#include <type_traits>

#include "core/cuda/launch.cuh"

namespace linscope::cuda {

/// Four warps of Blocks·16 rows each; products of 16×8×16 in bfloat16 by mma.sync, sums in single precision. Rows of a
/// broad tile are read once for all of a warp's blocks: more blocks read less, and take more registers. Broad tiles are
/// loaded Parts at a time: a barrier for many columns, and registers for few.
template <int Blocks, int Columns, int Parts = 1>
struct Bf16Tiles {
    using Number = Bf16;
    static constexpr int kThreads = 128, kTall = 64 * Blocks, kBroad = Columns, kParts = Parts, kStages = 2,
                         kRows = 2 * Blocks, kColumns = Columns / 4, kSums = 2;
    // Rows are 16 bytes more than a power of two, so that eight of them are in different banks.
    static constexpr int kScoreStride = kBroad + 8;
    static constexpr float kRounding = 0x1p-8f;  ///< more than what a number in a tile is off, of itself
    static constexpr bool kPairs = true;         ///< places 2n and 2n + 1 of a row are neighbours
    template <int W>
    static constexpr int kWide = W / 4;
    template <int W>
    static constexpr int kStride = W + 8;

    __device__ static int lane() { return static_cast<int>(threadIdx.x % 32); }
    __device__ static int firstRow() { return static_cast<int>(threadIdx.x / 32 * 16 * Blocks); }
    __device__ static int row(int i) { return firstRow() + i / 2 * 16 + lane() / 4 + i % 2 * 8; }
    __device__ static int column(int j) { return j / 2 * 8 + lane() % 4 * 2 + j % 2; }
    template <int W>
    __device__ static int wide(int c) {
        return column(c);
    }
    /// Whether this thread is the first of those that share its rows.
    __device__ static bool leads() { return lane() % 4 == 0; }
    __device__ static float rounded(float value) { return value; }  // writing into a tile rounds
    __device__ static Number number(float value) { return toBf16(value); }
    /// Over the threads that share a row.
    __device__ static float rowMax(float value) {
        for (int offset = 2; offset > 0; offset /= 2) value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset));
        return value;
    }
    __device__ static float rowSum(float value) {
        for (int offset = 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset);
        return value;
    }

    /// A warp's rows of a tall tile W wide, as the left factor of many products: in registers where there is room.
    template <int W>
    static constexpr bool kTakes = W* Blocks <= 64;
    template <int W>
    struct Taken {
        const Number* tile;
        unsigned fragments[kTakes<W> ? W / 16 : 1][Blocks][4];
    };
    template <int W>
    __device__ static Taken<W> taken(const Number* tile) {
        Taken<W> rows{tile};
        if constexpr (kTakes<W>)
#pragma unroll
            for (int k = 0; k < W; k += 16) leftRows(rows.fragments[k / 16], tile, kStride<W>, k);
        return rows;
    }

    /// result += a·b for the 16 columns that begin at place 4n; b holds their fragments, two for each eight columns.
    template <int Places>
    __device__ static void multiplyPair(const unsigned (&a)[Blocks][4], const unsigned (&b)[4], int n,
                                        float (&result)[kRows][Places]) {
#pragma unroll
        for (int block = 0; block < Blocks; ++block)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                float(&upper)[Places] = result[2 * block];
                float(&lower)[Places] = result[2 * block + 1];
                const int at = 4 * n + 2 * half;
                multiplyBf16(a[block], b[2 * half], b[2 * half + 1], upper[at], upper[at + 1], lower[at],
                             lower[at + 1]);
            }
    }

    /// a's fragments of this warp's rows and columns [k, k + 16), from rows in shared memory.
    __device__ static void leftRows(unsigned (&a)[Blocks][4], const Number* tile, int stride, int k) {
#pragma unroll
        for (int block = 0; block < Blocks; ++block)
            loadMatrices(a[block], tile + (firstRow() + 16 * block + lane() % 16) * stride + k + lane() / 16 * 8);
    }
    /// b's fragments where b's columns are the tile's rows [n, n + 16), and its rows the columns [k, k + 16).
    __device__ static void rightRows(unsigned (&b)[4], const Number* tile, int stride, int n, int k) {
        loadMatrices(b, tile + (n + lane() / 16 * 8 + lane() % 8) * stride + k + lane() / 8 % 2 * 8);
    }
    /// b's fragments where b's rows [k, k + 16) and columns [n, n + 16) are the tile's.
    __device__ static void rightColumns(unsigned (&b)[4], const Number* tile, int stride, int k, int n) {
        loadMatricesTransposed(b, tile + (k + lane() % 16) * stride + n + lane() / 16 * 8);
    }

    /// a's fragments of the columns [16k, 16k + 16) of this thread's own places.
    __device__ static void ownFragments(unsigned (&a)[Blocks][4], const float (&own)[kRows][kColumns], int k) {
#pragma unroll
        for (int block = 0; block < Blocks; ++block)
#pragma unroll
            for (int i = 0; i < 4; ++i)
                a[block][i] =
                    packBf16(own[2 * block + i % 2][4 * k + i / 2 * 2], own[2 * block + i % 2][4 * k + i / 2 * 2 + 1]);
    }

    /// result[row][column] += Σ_d a[row][d]·b[column][d]; left(fragments, k) gives a's.
    template <int W, typename Left>
    __device__ static void multiplyByRows(const Left& left, const Number* b, float (&result)[kRows][kColumns]) {
#pragma unroll
        for (int k = 0; k < W; k += 16) {
            unsigned a[Blocks][4];
            left(a, k);
#pragma unroll
            for (int n = 0; n < Columns / 16; ++n) {
                unsigned right[4];
                rightRows(right, b, kStride<W>, 16 * n, k);
                multiplyPair(a, right, n, result);
            }
        }
    }

    /// result[row][column] += Σ_d a[row][d]·b[column][d]; both W wide.
    template <int W>
    __device__ static void rowsByRows(const Number* a, const Number* b, float (&result)[kRows][kColumns]) {
        multiplyByRows<W>([=](unsigned(&left)[Blocks][4], int k) { leftRows(left, a, kStride<W>, k); }, b, result);
    }
    /// The same with rows that were taken once for many products.
    template <int W>
    __device__ static void rowsByRows(const Taken<W>& a, const Number* b, float (&result)[kRows][kColumns]) {
        if constexpr (kTakes<W>)
            multiplyByRows<W>(
                [&](unsigned(&left)[Blocks][4], int k) {
#pragma unroll
                    for (int block = 0; block < Blocks; ++block)
#pragma unroll
                        for (int i = 0; i < 4; ++i) left[block][i] = a.fragments[k / 16][block][i];
                },
                b, result);
        else
            rowsByRows<W>(a.tile, b, result);
    }

    /// result[row][w] += Σ_s p[row][s]·x[s][w]; p a tile of scores, x W wide.
    template <int W>
    __device__ static void scoresByRows(const Number* p, const Number* x, float (&result)[kRows][kWide<W>]) {
#pragma unroll
        for (int k = 0; k < Columns; k += 16) {
            unsigned left[Blocks][4];
            leftRows(left, p, kScoreStride, k);
#pragma unroll
            for (int n = 0; n < W / 16; ++n) {
                unsigned right[4];
                rightColumns(right, x, kStride<W>, k, 16 * n);
                multiplyPair(left, right, n, result);
            }
        }
    }

    /// The same with the threads' own places of p, straight from the registers: a result's places are a factor's.
    template <int W, typename Scratch>
    __device__ static void ownScoresByRows(const float (&own)[kRows][kColumns], Scratch*, const Number* x,
                                           float (&result)[kRows][kWide<W>]) {
#pragma unroll
        for (int k = 0; k < Columns / 16; ++k) {
            unsigned left[Blocks][4];
            ownFragments(left, own, k);
#pragma unroll
            for (int n = 0; n < W / 16; ++n) {
                unsigned right[4];
                rightColumns(right, x, kStride<W>, 16 * k, 16 * n);
                multiplyPair(left, right, n, result);
            }
        }
    }

    /// sums += Σ_s own[row][s]: a product with ones, which gives every thread of a row the whole sum of what goes into
    /// ownScoresByRows().
    __device__ static void addRowSums(const float (&own)[kRows][kColumns], float (&sums)[kRows][kSums]) {
        constexpr unsigned kOnes = 0x3F803F80;
#pragma unroll
        for (int k = 0; k < Columns / 16; ++k) {
            unsigned left[Blocks][4];
            ownFragments(left, own, k);
#pragma unroll
            for (int block = 0; block < Blocks; ++block) {
                float(&upper)[kSums] = sums[2 * block];
                float(&lower)[kSums] = sums[2 * block + 1];
                multiplyBf16(left[block], kOnes, kOnes, upper[0], upper[1], lower[0], lower[1]);
            }
        }
    }
    /// Of a row, from what addRowSums() has left with this thread.
    __device__ static float wholeSum(const float (&part)[kSums]) {
        return part[0];
    }

    /// result[row][w] += Σ_r p[r][row]·x[r][w]; of square tiles.
    template <int W>
    __device__ static void columnsByRows(const Number* p, const Number* x, float (&result)[kRows][kWide<W>]) {
        static_assert(kTall == kBroad);
#pragma unroll
        for (int k = 0; k < Columns; k += 16) {
            unsigned left[Blocks][4];
#pragma unroll
            for (int block = 0; block < Blocks; ++block)
                loadMatricesTransposed(left[block], p + (k + lane() / 16 * 8 + lane() % 8) * kScoreStride + firstRow() +
                                                        16 * block + lane() / 8 % 2 * 8);
#pragma unroll
            for (int n = 0; n < W / 16; ++n) {
                unsigned right[4];
                rightColumns(right, x, kStride<W>, k, 16 * n);
                multiplyPair(left, right, n, result);
            }
        }
    }
};

}  // namespace linscope::cuda
