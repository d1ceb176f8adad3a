#include <cmath>

#include "core/analysis/map_panels.h"
#include "core/cuda/launch.cuh"

namespace linscope::cuda {
namespace {

constexpr int kCellsOfBlock = kThreads / int(kWarp);

__device__ float winner(float a, float b, bool isSigned) {
    if (isnan(a) || isnan(b)) return NAN;
    return isSigned ? (fabsf(b) > fabsf(a) ? b : a) : fmaxf(a, b);
}

// A warp for each cell that the part touches, of which there are `touched` in a row.
__global__ void poolKernel(PooledTile tile, std::int64_t cells, std::int64_t touched, float* map) {
    waitForEarlier();
    const std::int64_t cell = static_cast<std::int64_t>(blockIdx.x) * kCellsOfBlock + threadIdx.x / kWarp;
    if (cell >= cells) return;  // of whole warps
    const std::int64_t cellRow = tile.firstRow / tile.rowBlock + cell / touched;
    const std::int64_t cellCol = tile.firstCol / tile.colBlock + cell % touched;
    // The cell's share of the part.
    const std::int64_t top = max(cellRow * tile.rowBlock - tile.firstRow, std::int64_t{0});
    const std::int64_t left = max(cellCol * tile.colBlock - tile.firstCol, std::int64_t{0});
    const std::int64_t height = min((cellRow + 1) * tile.rowBlock - tile.firstRow, tile.rows) - top;
    const std::int64_t width = min((cellCol + 1) * tile.colBlock - tile.firstCol, tile.cols) - left;
    const float* values = tile.values + top * tile.cols + left;
    float best = values[0];
    for (std::int64_t i = threadIdx.x % kWarp; i < height * width; i += kWarp)
        best = winner(best, values[i / width * tile.cols + i % width], tile.isSigned);
    for (unsigned offset = kWarp / 2; offset > 0; offset /= 2)
        best = winner(best, __shfl_down_sync(kAllLanes, best, offset), tile.isSigned);
    if (threadIdx.x % kWarp != 0) return;
    float& out = map[cellRow * tile.mapCols + cellCol];
    const bool fresh = tile.firstRow <= cellRow * tile.rowBlock && tile.firstCol <= cellCol * tile.colBlock;
    out = fresh ? best : winner(out, best, tile.isSigned);
}

}  // namespace

void setUnitValues(DeviceContext& context, const MapPanel& panel, const Tensor& v) {
    const std::int64_t T = v.shape()[1], H = v.shape()[2], D = v.shape()[3];
    float* values = v.onDeviceAs<float>();
    forEach(context.stream(), panel.columns, "unit values", [=] __device__(std::int64_t j) {
        values[((j / D * T + panel.first + j) * H + panel.head) * D + j % D] = 1;
    });
}

void takeColumns(DeviceContext& context, const MapPanel& panel, const Tensor& o, bool difference, float* out,
                 std::int64_t stride) {
    const std::int64_t T = o.shape()[1], H = o.shape()[2], D = o.shape()[3];
    const float* outputs = o.onDeviceAs<float>();
    forEach(context.stream(), T * panel.columns, "columns of a map", [=] __device__(std::int64_t i) {
        const std::int64_t t = i / panel.columns, j = i % panel.columns;
        const float value = outputs[((j / D * T + t) * H + panel.head) * D + j % D];
        float& to = out[t * stride + j];
        to = difference ? value - to : value;
    });
}

void poolTile(DeviceContext& context, const PooledTile& tile, float* map) {
    if (tile.rows <= 0 || tile.cols <= 0) return;
    const auto touched = [](std::int64_t first, std::int64_t count, std::int64_t block) {
        return (first + count - 1) / block - first / block + 1;
    };
    const std::int64_t across = touched(tile.firstCol, tile.cols, tile.colBlock);
    const std::int64_t cells = touched(tile.firstRow, tile.rows, tile.rowBlock) * across;
    launch(context.stream(), "pooling a map", {blocksFor(cells, kCellsOfBlock), kThreads}, poolKernel, tile, cells,
           across, map);
}

}  // namespace linscope::cuda
