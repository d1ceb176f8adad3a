#pragma once

#include "core/cuda/launch.cuh"

// Products of tiles that the attention kernels are made of. A block has 16×16 threads; a tile is kTile rows in shared
// memory, padded so that neighbouring threads meet in no bank. Thread (x, y) has rows 4y … 4y+3 of a result and of its
// columns either x, x+16, x+32, x+48 (of a tile of scores) or W/16 neighbouring ones from x·W/16 on (of a tile that is
// W wide). Everything is summed by one thread in one order: the same bits every time.

namespace linscope::cuda {

inline constexpr int kTile = 64, kSide = 16, kOwn = kTile / kSide;
inline constexpr int kScoreStride = kTile + 4;
template <int W>
inline constexpr int kTileStride = W + 4;
template <int W>
inline constexpr int kTileSize = kTile * kTileStride<W>;
inline constexpr int kScoreSize = kTile * kScoreStride;
template <int W>
inline constexpr int kColumns = W / kSide;

__device__ inline int threadId() {
    return static_cast<int>(threadIdx.y * kSide + threadIdx.x);
}

/// Rows [0, rows) of x, `stride` apart and `width` ≤ W wide, into a tile; zeros elsewhere, and in rows whose keep is 0.
template <int W>
__device__ void loadTile(float* tile, const float* x, std::int64_t stride, int rows, int width,
                         const float* keep = nullptr) {
    for (int i = threadId(); i < kTile * W; i += kSide * kSide) {
        const int row = i / W, column = i % W;
        const bool there = row < rows && column < width && (keep == nullptr || keep[row] != 0.0f);
        tile[row * kTileStride<W> + column] = there ? x[row * stride + column] : 0.0f;
    }
}

/// result[i][j] += Σ_d a[4y+i][d]·b[x+16j][d]
template <int W>
__device__ void rowsByRows(const float* a, const float* b, float (&result)[kOwn][kOwn]) {
#pragma unroll 4
    for (int d = 0; d < W; d += 4) {
        float4 left[kOwn], right[kOwn];
        for (int i = 0; i < kOwn; ++i)
            left[i] = *reinterpret_cast<const float4*>(a + (threadIdx.y * kOwn + i) * kTileStride<W> + d);
        for (int j = 0; j < kOwn; ++j)
            right[j] = *reinterpret_cast<const float4*>(b + (threadIdx.x + kSide * j) * kTileStride<W> + d);
        for (int i = 0; i < kOwn; ++i)
            for (int j = 0; j < kOwn; ++j) {
                float& sum = result[i][j];
                sum = fmaf(left[i].x, right[j].x, sum);
                sum = fmaf(left[i].y, right[j].y, sum);
                sum = fmaf(left[i].z, right[j].z, sum);
                sum = fmaf(left[i].w, right[j].w, sum);
            }
    }
}

/// result[i][c] += Σ_s p[4y+i][s]·x[s][own column c]; p is a tile of scores.
template <int W>
__device__ void scoresByRows(const float* p, const float* x, float (&result)[kOwn][kColumns<W>]) {
#pragma unroll 2
    for (int s = 0; s < kTile; s += 4) {
        float4 left[kOwn];
        for (int i = 0; i < kOwn; ++i)
            left[i] = *reinterpret_cast<const float4*>(p + (threadIdx.y * kOwn + i) * kScoreStride + s);
        for (int l = 0; l < 4; ++l)
            for (int c = 0; c < kColumns<W>; ++c) {
                const float value = x[(s + l) * kTileStride<W> + threadIdx.x * kColumns<W> + c];
                for (int i = 0; i < kOwn; ++i) {
                    const float factor = l == 0 ? left[i].x : l == 1 ? left[i].y : l == 2 ? left[i].z : left[i].w;
                    result[i][c] = fmaf(factor, value, result[i][c]);
                }
            }
    }
}

/// result[i][c] += Σ_r p[r][4y+i]·x[r][own column c]
template <int W>
__device__ void columnsByRows(const float* p, const float* x, float (&result)[kOwn][kColumns<W>]) {
#pragma unroll 4
    for (int r = 0; r < kTile; ++r) {
        const float4 left = *reinterpret_cast<const float4*>(p + r * kScoreStride + threadIdx.y * kOwn);
        for (int c = 0; c < kColumns<W>; ++c) {
            const float value = x[r * kTileStride<W> + threadIdx.x * kColumns<W> + c];
            result[0][c] = fmaf(left.x, value, result[0][c]);
            result[1][c] = fmaf(left.y, value, result[1][c]);
            result[2][c] = fmaf(left.z, value, result[2][c]);
            result[3][c] = fmaf(left.w, value, result[3][c]);
        }
    }
}

/// Writes a tile of scores from the threads' own parts.
__device__ inline void storeScores(float* p, const float (&own)[kOwn][kOwn]) {
    for (int i = 0; i < kOwn; ++i)
        for (int j = 0; j < kOwn; ++j) p[(threadIdx.y * kOwn + i) * kScoreStride + threadIdx.x + kSide * j] = own[i][j];
}

/// Writes rows [0, rows) of a result of `width` ≤ W columns, times a factor, where rows are `stride` apart.
template <int W>
__device__ void storeRows(const Out& out, std::int64_t at, std::int64_t stride, int rows, int width, float factor,
                          const float (&own)[kOwn][kColumns<W>]) {
    if (out.data == nullptr) return;
    for (int i = 0; i < kOwn; ++i) {
        const int row = static_cast<int>(threadIdx.y) * kOwn + i;
        if (row >= rows) return;
        for (int c = 0; c < kColumns<W>; ++c) {
            const int column = static_cast<int>(threadIdx.x) * kColumns<W> + c;
            if (column < width) out.put(at + row * stride + column, factor * own[i][c]);
        }
    }
}

/// Over the 16 threads that share a row.
__device__ inline float rowMax(float value) {
    for (int offset = kSide / 2; offset > 0; offset /= 2)
        value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset, kSide));
    return value;
}
__device__ inline float rowSum(float value) {
    for (int offset = kSide / 2; offset > 0; offset /= 2)
        value += __shfl_xor_sync(kAllLanes, value, offset, kSide);
    return value;
}

/// Starts kernel<W> for the least W of 32, 64 and 128 that holds `width`; `bytes(W)` of shared memory.
#define LINSCOPE_LAUNCH_BY_WIDTH(width, kernel, blocks, floatsOf, stream, ...)                                       \
    do {                                                                                                             \
        const auto start = [&](auto* function, int floats) {                                                         \
            const int bytes = floats * static_cast<int>(sizeof(float));                                              \
            check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), #kernel);      \
            function<<<blocks, dim3(kSide, kSide), static_cast<std::size_t>(bytes), stream>>>(__VA_ARGS__);          \
            checkLaunch(#kernel);                                                                                    \
        };                                                                                                           \
        if ((width) <= 32)                                                                                           \
            start(kernel<32>, floatsOf<32>);                                                                         \
        else if ((width) <= 64)                                                                                      \
            start(kernel<64>, floatsOf<64>);                                                                         \
        else                                                                                                         \
            start(kernel<128>, floatsOf<128>);                                                                       \
    } while (false)

}  // namespace linscope::cuda
