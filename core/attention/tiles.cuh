#pragma once

#include "core/cuda/launch.cuh"

// Products of tiles that the attention kernels are made of, in two ways with one face, so that a kernel is written
// once: ExactTiles in single precision, TensorTiles on the tensor cores with factors rounded to TF32. A tile is kTile
// rows in shared memory, padded so that neighbouring threads meet in few banks. Each thread has some places of a
// result: place (i, j) of a tile of scores [kTile,kTile] is row(i), column(j); place (i, c) of a tile W wide is row(i),
// wide<W>(c). Everything is summed by one thread in one order: the same bits every time.

namespace linscope::cuda {

inline constexpr int kTile = 64;
inline constexpr int kScoreStride = kTile + 4;
template <int W>
inline constexpr int kTileStride = W + 4;
template <int W>
inline constexpr int kTileSize = kTile* kTileStride<W>;
inline constexpr int kScoreSize = kTile * kScoreStride;

/// 16×16 threads of 4×4 scores each.
struct ExactTiles {
    static constexpr int kThreads = 256, kRows = 4, kColumns = 4;
    template <int W>
    static constexpr int kWide = W / 16;

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

    /// result[row][column] += Σ_d a[row][d]·b[column][d]; both W wide.
    template <int W>
    __device__ static void rowsByRows(const float* a, const float* b, float (&result)[kRows][kColumns]) {
#pragma unroll 4
        for (int d = 0; d < W; d += 4) {
            float4 left[kRows], right[kColumns];
#pragma unroll
            for (int i = 0; i < kRows; ++i) left[i] = *reinterpret_cast<const float4*>(a + row(i) * kTileStride<W> + d);
#pragma unroll
            for (int j = 0; j < kColumns; ++j)
                right[j] = *reinterpret_cast<const float4*>(b + column(j) * kTileStride<W> + d);
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
        for (int s = 0; s < kTile; s += 4) {
            float4 left[kRows];
#pragma unroll
            for (int i = 0; i < kRows; ++i) left[i] = *reinterpret_cast<const float4*>(p + row(i) * kScoreStride + s);
#pragma unroll
            for (int l = 0; l < 4; ++l)
#pragma unroll
                for (int c = 0; c < kWide<W>; ++c) {
                    const float value = x[(s + l) * kTileStride<W> + wide<W>(c)];
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
        for (int r = 0; r < kTile; ++r) {
            const float4 left = *reinterpret_cast<const float4*>(p + r * kScoreStride + row(0));
#pragma unroll
            for (int c = 0; c < kWide<W>; ++c) {
                const float value = x[r * kTileStride<W> + wide<W>(c)];
                result[0][c] = fmaf(left.x, value, result[0][c]);
                result[1][c] = fmaf(left.y, value, result[1][c]);
                result[2][c] = fmaf(left.z, value, result[2][c]);
                result[3][c] = fmaf(left.w, value, result[3][c]);
            }
        }
    }
};

/// Four warps of 16 rows each; products of 16×8×8 by mma.sync. Sums are in single precision.
struct TensorTiles {
    static constexpr int kThreads = 128, kRows = 2, kColumns = kTile / 4;
    template <int W>
    static constexpr int kWide = W / 4;

    __device__ static int lane() { return static_cast<int>(threadIdx.x) % 32; }
    __device__ static int group() { return lane() / 4; }
    __device__ static int inGroup() { return lane() % 4; }
    __device__ static int firstRow() { return static_cast<int>(threadIdx.x) / 32 * 16; }
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

    __device__ static float rounded(float value) {
#if __CUDA_ARCH__ >= 800
        unsigned bits;
        asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
        return __uint_as_float(bits);
#else
        return value;
#endif
    }

    /// c += a·b of 16×8 and 8×8 factors, of which each thread has four and two numbers.
    __device__ static void multiply(const float (&a)[4], float b0, float b1, float& c0, float& c1, float& c2,
                                    float& c3) {
#if __CUDA_ARCH__ >= 800
        asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
            : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
              "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b0)), "r"(__float_as_uint(b1)));
#else
        __trap();  // older devices have no TF32: DeviceContext::setPrecision() refuses it
#endif
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
                multiply(a, right(k + t, n * 8 + g), right(k + t + 4, n * 8 + g), result[0][2 * n],
                         result[0][2 * n + 1], result[1][2 * n], result[1][2 * n + 1]);
        }
    }

    template <int W>
    __device__ static void rowsByRows(const float* a, const float* b, float (&result)[kRows][kColumns]) {
        products<W, kColumns / 2>([=](int r, int k) { return a[r * kTileStride<W> + k]; },
                                  [=](int k, int c) { return b[c * kTileStride<W> + k]; }, result);
    }
    template <int W>
    __device__ static void scoresByRows(const float* p, const float* x, float (&result)[kRows][kWide<W>]) {
        products<kTile, kWide<W> / 2>([=](int r, int k) { return p[r * kScoreStride + k]; },
                                      [=](int k, int c) { return x[k * kTileStride<W> + c]; }, result);
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
            const float* rows = x + (8 * k + 2 * t) * kTileStride<W> + g;
#pragma unroll
            for (int n = 0; n < kWide<W> / 2; ++n)
                multiply(a, rows[8 * n], rows[kTileStride<W> + 8 * n], result[0][2 * n], result[0][2 * n + 1],
                         result[1][2 * n], result[1][2 * n + 1]);
        }
    }
    template <int W>
    __device__ static void columnsByRows(const float* p, const float* x, float (&result)[kRows][kWide<W>]) {
        products<kTile, kWide<W> / 2>([=](int r, int k) { return p[k * kScoreStride + r]; },
                                      [=](int k, int c) { return x[k * kTileStride<W> + c]; }, result);
    }
};

/// Rows [0, rows) of x, `stride` apart and `width` ≤ W wide, into a tile; zeros elsewhere, and in rows whose keep is 0.
template <typename Tiles, int W>
__device__ void loadTile(float* tile, const float* x, std::int64_t stride, int rows, int width,
                         const float* keep = nullptr) {
    // Whole tiles by four numbers at a time.
    if (rows == kTile && width == W && stride % 4 == 0 && keep == nullptr &&
        reinterpret_cast<std::uintptr_t>(x) % 16 == 0) {
#pragma unroll
        for (int i = static_cast<int>(threadIdx.x); i < kTile * W / 4; i += Tiles::kThreads) {
            const int row = i / (W / 4), column = i % (W / 4) * 4;
            float4 four = *reinterpret_cast<const float4*>(x + row * stride + column);
            four = {Tiles::rounded(four.x), Tiles::rounded(four.y), Tiles::rounded(four.z), Tiles::rounded(four.w)};
            *reinterpret_cast<float4*>(tile + row * kTileStride<W> + column) = four;
        }
        return;
    }
    for (int i = static_cast<int>(threadIdx.x); i < kTile * W; i += Tiles::kThreads) {
        const int row = i / W, column = i % W;
        const bool there = row < rows && column < width && (keep == nullptr || keep[row] != 0.0f);
        tile[row * kTileStride<W> + column] = there ? Tiles::rounded(x[row * stride + column]) : 0.0f;
    }
}

/// Writes a tile of scores from the threads' own places.
template <typename Tiles>
__device__ void storeScores(float* p, const float (&own)[Tiles::kRows][Tiles::kColumns]) {
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
        for (int j = 0; j < Tiles::kColumns; ++j)
            p[Tiles::row(i) * kScoreStride + Tiles::column(j)] = Tiles::rounded(own[i][j]);
}

/// e^x by the hardware's power of two, whose relative error is below 2⁻²²; what would be denormal is 0.
__device__ inline float power(float x) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x * 1.4426950408889634f));
    return result;
}

/// Writes rows [0, rows) of a result of `width` ≤ W columns, times a factor, where rows are `stride` apart.
template <typename Tiles, int W>
__device__ void storeRows(const Out& out, std::int64_t at, std::int64_t stride, int rows, int width, float factor,
                          const float (&own)[Tiles::kRows][Tiles::template kWide<W>]) {
    if (out.data == nullptr) return;
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
        for (int c = 0; c < Tiles::template kWide<W>; ++c) {
            const int row = Tiles::row(i), column = Tiles::template wide<W>(c);
            if (row < rows && column < width) out.put(at + row * stride + column, factor * own[i][c]);
        }
}

/// Starts kernel<Tiles, W> with `floats` numbers of shared memory.
template <typename Tiles, typename... Parameters, typename... Arguments>
void startTiles(void (*kernel)(Parameters...), const char* name, dim3 blocks, int floats, cudaStream_t stream,
                const Arguments&... arguments) {
    const int bytes = floats * static_cast<int>(sizeof(float));
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), name);
    kernel<<<blocks, Tiles::kThreads, static_cast<std::size_t>(bytes), stream>>>(arguments...);
    checkLaunch(name);
}

/// The same for the least W of 32, 64 and 128 that holds `width`, with the given tiles and `floatsOf<W>` numbers.
#define LINSCOPE_START_WITH(Tiles, context, width, kernel, floatsOf, blocks, ...)                                   \
    do {                                                                                                            \
        if ((width) <= 32)                                                                                          \
            startTiles<Tiles>(kernel<Tiles, 32>, #kernel, blocks, floatsOf<32>, (context).stream(), __VA_ARGS__);   \
        else if ((width) <= 64)                                                                                     \
            startTiles<Tiles>(kernel<Tiles, 64>, #kernel, blocks, floatsOf<64>, (context).stream(), __VA_ARGS__);   \
        else                                                                                                        \
            startTiles<Tiles>(kernel<Tiles, 128>, #kernel, blocks, floatsOf<128>, (context).stream(), __VA_ARGS__); \
    } while (false)
/// The same with the tiles of the context's precision.
#define LINSCOPE_START_TILES(context, width, kernel, floatsOf, blocks, ...)                          \
    do {                                                                                             \
        if ((context).tensorCores())                                                                 \
            LINSCOPE_START_WITH(TensorTiles, context, width, kernel, floatsOf, blocks, __VA_ARGS__); \
        else                                                                                         \
            LINSCOPE_START_WITH(ExactTiles, context, width, kernel, floatsOf, blocks, __VA_ARGS__);  \
    } while (false)

}  // namespace linscope::cuda
