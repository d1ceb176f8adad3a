#include <cmath>

#include "core/analysis/map_tile.h"
#include "core/cuda/blas.h"
#include "core/cuda/launch.cuh"

namespace linscope::cuda {
namespace {

constexpr int kWarps = kThreads / int(kWarp);

// The same value on all threads of the block.
template <typename Combine>
__device__ float overBlock(float value, float* parts, Combine combine) {
    for (unsigned offset = kWarp / 2; offset > 0; offset /= 2)
        value = combine(value, __shfl_xor_sync(kAllLanes, value, offset));
    __syncthreads();  // the last result has been read
    if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = value;
    __syncthreads();
    value = parts[0];
    for (int w = 1; w < kWarps; ++w) value = combine(value, parts[w]);
    return value;
}

// One block a row. Products of the row with the tile's keys become weights in their place; with `sums` nothing but
// what a softmax divides by is wanted.
__global__ void softmaxKernel(MapTile tile, float* scores, float2* sums) {
    waitForEarlier();
    __shared__ float parts[kWarps];
    const std::int64_t row = blockIdx.x, query = tile.firstQuery + row;
    float* out = scores + row * tile.count;
    const bool withoutOwn = tile.others && (!tile.causal || query > 0);
    const auto sees = [&](std::int64_t j) {
        const std::int64_t key = tile.firstKey + j;
        return (!tile.causal || key <= query) && !(withoutOwn && key == query);
    };
    const auto score = [&](std::int64_t j) {
        return tile.ofDistance != nullptr ? out[j] + tile.ofDistance[tile.firstKey + j - query] : out[j];
    };
    float2 of{};  // the greatest score, and the sum of exponentials
    if (tile.sums != nullptr) {
        of = {tile.sums[2 * row], tile.sums[2 * row + 1]};
    } else {
        float largest = -INFINITY, sum = 0;
        for (std::int64_t j = threadIdx.x; j < tile.count; j += kThreads)
            if (sees(j)) largest = fmaxf(largest, score(j));
        largest = overBlock(largest, parts, [](float a, float b) { return fmaxf(a, b); });
        for (std::int64_t j = threadIdx.x; j < tile.count; j += kThreads)
            if (sees(j)) sum += expf(score(j) - largest);
        of = {largest, overBlock(sum, parts, [](float a, float b) { return a + b; })};
    }
    if (sums != nullptr) {
        if (threadIdx.x == 0) sums[row] = of;
        return;
    }
    for (std::int64_t j = threadIdx.x; j < tile.count; j += kThreads)
        out[j] = sees(j) ? expf(score(j) - of.x) / of.y : 0.0f;
}

void start(DeviceContext& context, const MapTile& tile, float* scores, float2* sums) {
    if (tile.rows <= 0 || tile.count <= 0) return;
    Products products;
    products.m = tile.rows;
    products.n = tile.count;
    products.k = products.lda = products.ldb = tile.headWidth;
    products.ldc = tile.count;
    products.transposeB = true;
    products.alpha = 1.0 / std::sqrt(static_cast<double>(tile.headWidth));
    context.blas().multiply(products, tile.q, tile.keys, scores);
    launch(context.stream(), "a tile of a map", {static_cast<unsigned>(tile.rows), kThreads}, softmaxKernel, tile,
           scores, sums);
}

}  // namespace

void mapTile(DeviceContext& context, const MapTile& tile, float* map) {
    start(context, tile, map, nullptr);
}

void rowSums(DeviceContext& context, const MapTile& tile, float* scores, float* sums) {
    start(context, tile, scores, reinterpret_cast<float2*>(sums));
}

}  // namespace linscope::cuda
