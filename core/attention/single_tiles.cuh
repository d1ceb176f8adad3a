#pragma once

#include "core/attention/tiles.cuh"

// Tiles for kernels that are in single precision whatever the context's: kTile rows of ExactTiles, on either side of a
// product.

namespace linscope::cuda {

template <int W>
inline constexpr int kTileStride = ExactTiles::kStride<W>;
template <int W>
inline constexpr int kTileSize = kTile* kTileStride<W>;
inline constexpr int kSingleScoreStride = ExactTiles::kScoreStride;
inline constexpr int kSingleScoreSize = kTile * kSingleScoreStride;

/// loadTile() of kTile rows.
template <int W>
__device__ void loadSingle(float* tile, const float* x, std::int64_t stride, int rows, int width,
                           const float* keep = nullptr) {
    loadTile<ExactTiles, W, kTile>(tile, x, stride, rows, width, keep);
}

/// startTiles() with `floats` numbers of shared memory.
template <typename... Parameters, typename... Arguments>
void startSingle(void (*kernel)(Parameters...), const char* name, dim3 blocks, int floats, cudaStream_t stream,
                 const Arguments&... arguments) {
    startTiles<ExactTiles>(kernel, name, blocks, static_cast<std::size_t>(floats) * sizeof(float), stream,
                           arguments...);
}

}  // namespace linscope::cuda
