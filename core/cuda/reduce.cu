#include "core/cuda/reduce.h"

#include "core/cuda/launch.cuh"

namespace linscope::cuda {
namespace {

constexpr int kColumns = 32, kLines = 8;  // of a block
constexpr std::int64_t kRowsOfPart = 64;

/// partial [parts,2,C]: sums of dy and of dy·(x − mean)·scale over the rows of a part.
__global__ void partKernel(ColumnSums s, std::int64_t rowsOfPart, float* partial) {
    __shared__ float bias[kLines][kColumns], gain[kLines][kColumns];
    const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * kColumns + threadIdx.x;
    const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * rowsOfPart;
    const std::int64_t last = min(s.rows, first + rowsOfPart);
    float sumBias = 0, sumGain = 0;
    if (column < s.columns)
        for (std::int64_t row = first + threadIdx.y; row < last; row += kLines) {
            const float d = s.dy[row * s.columns + column];
            sumBias += d;
            if (s.x != nullptr) sumGain += d * (s.x[row * s.columns + column] - s.mean[row]) * s.scale[row];
        }
    bias[threadIdx.y][threadIdx.x] = sumBias;
    gain[threadIdx.y][threadIdx.x] = sumGain;
    __syncthreads();
    if (threadIdx.y != 0 || column >= s.columns) return;
    for (int line = 1; line < kLines; ++line) {
        sumBias += bias[line][threadIdx.x];
        sumGain += gain[line][threadIdx.x];
    }
    float* out = partial + static_cast<std::int64_t>(blockIdx.y) * 2 * s.columns;
    out[column] = sumBias;
    out[s.columns + column] = sumGain;
}

}  // namespace

void sumColumns(Arena& arena, const ColumnSums& sums, const Variable& gain, const Variable& bias) {
    const Out dGain = outOf(gain), dBias = outOf(bias);
    if (dGain.data == nullptr && dBias.data == nullptr) return;
    // At most 128 parts, so that the second sum stays short.
    const std::int64_t rowsOfPart = std::max(kRowsOfPart, (sums.rows + 127) / 128);
    const std::int64_t parts = (sums.rows + rowsOfPart - 1) / rowsOfPart, columns = sums.columns;
    float* partial = arena.tensor({parts, 2, columns}).onDeviceAs<float>();
    cudaStream_t stream = arena.context()->stream();
    const dim3 blocks(blocksFor(columns, kColumns), static_cast<unsigned>(parts));
    partKernel<<<blocks, dim3(kColumns, kLines), 0, stream>>>(sums, rowsOfPart, partial);
    checkLaunch("sums of columns");
    forEach(stream, 2 * columns, "sums of parts", [=] __device__(std::int64_t i) {
        const Out out = i < columns ? dBias : dGain;
        if (out.data == nullptr) return;
        float sum = 0;
        for (std::int64_t part = 0; part < parts; ++part) sum += partial[part * 2 * columns + i];
        out.put(i % columns, sum);
    });
}

}  // namespace linscope::cuda
