#include <cmath>

#include "core/analysis/map_tile.h"
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

// One block a row: its scores lie in the map itself until they are normalised.
__global__ void mapTileKernel(MapTile tile, float scale, float* map) {
    __shared__ float parts[kWarps];
    const std::int64_t row = blockIdx.x, D = tile.headWidth;
    const std::int64_t seen = tile.causal ? min(tile.firstQuery + row + 1, tile.count) : tile.count;
    const float* q = tile.q + row * D;
    float* out = map + row * tile.count;

    float largest = -INFINITY;
    for (std::int64_t j = threadIdx.x; j < seen; j += kThreads) {
        const float* key = tile.keys + j * D;
        float score = 0;
        for (std::int64_t d = 0; d < D; ++d) score = fmaf(q[d], key[d], score);
        out[j] = score * scale;
        largest = fmaxf(largest, out[j]);
    }
    largest = overBlock(largest, parts, [](float a, float b) { return fmaxf(a, b); });
    float sum = 0;
    for (std::int64_t j = threadIdx.x; j < seen; j += kThreads) {
        out[j] = expf(out[j] - largest);
        sum += out[j];
    }
    sum = overBlock(sum, parts, [](float a, float b) { return a + b; });
    for (std::int64_t j = threadIdx.x; j < tile.count; j += kThreads) out[j] = j < seen ? out[j] / sum : 0;
}

}  // namespace

void mapTile(DeviceContext& context, const MapTile& tile, float* map) {
    if (tile.rows <= 0 || tile.count <= 0) return;
    const float scale = 1.0f / std::sqrt(static_cast<float>(tile.headWidth));
    mapTileKernel<<<static_cast<unsigned>(tile.rows), kThreads, 0, context.stream()>>>(tile, scale, map);
    checkLaunch("a tile of a map");
}

}  // namespace linscope::cuda
