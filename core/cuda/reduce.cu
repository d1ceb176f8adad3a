#include "core/cuda/reduce.h"

#include "core/cuda/launch.cuh"

namespace linscope::cuda {
namespace {

constexpr int kColumns = 32, kLines = 8;  // of a block
constexpr std::int64_t kRowsOfPart = 64;

/// partial [parts,2,C]: sums of dy and of dy·(x − mean)·scale over the rows of a part. The block that comes last to
/// its columns then sums the parts, in their order: who that is changes nothing.
__global__ void sumKernel(ColumnSums s, std::int64_t rowsOfPart, float* partial, unsigned* arrived, Out dGain,
                          Out dBias) {
    __shared__ float bias[kLines][kColumns], gain[kLines][kColumns];
    __shared__ bool last;
    const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * kColumns + threadIdx.x;
    const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * rowsOfPart;
    const std::int64_t end = min(s.rows, first + rowsOfPart);
    const bool there = column < s.columns;
    float sumBias = 0, sumGain = 0;
    if (there)
        for (std::int64_t row = first + threadIdx.y; row < end; row += kLines) {
            const std::int64_t at = row * s.columns + column;
            const float d =
                s.rounded ? toFloat(static_cast<const Bf16*>(s.dy)[at]) : static_cast<const float*>(s.dy)[at];
            sumBias += d;
            if (s.x != nullptr) sumGain += d * (s.x[at] - s.mean[row]) * s.scale[row];
        }
    const auto overLines = [&] {
        bias[threadIdx.y][threadIdx.x] = sumBias;
        gain[threadIdx.y][threadIdx.x] = sumGain;
        __syncthreads();
        if (threadIdx.y != 0) return;
        for (int line = 1; line < kLines; ++line) {
            sumBias += bias[line][threadIdx.x];
            sumGain += gain[line][threadIdx.x];
        }
    };
    overLines();
    if (threadIdx.y == 0 && there) {
        float* out = partial + static_cast<std::int64_t>(blockIdx.y) * 2 * s.columns;
        out[column] = sumBias;
        out[s.columns + column] = sumGain;
        __threadfence();
    }
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) {
        last = atomicAdd(arrived + blockIdx.x, 1u) == gridDim.y - 1;
        if (last) arrived[blockIdx.x] = 0;  // for the next call
    }
    __syncthreads();
    if (!last) return;
    __threadfence();
    sumBias = sumGain = 0;
    if (there)
        for (unsigned part = threadIdx.y; part < gridDim.y; part += kLines) {
            const float* in = partial + static_cast<std::int64_t>(part) * 2 * s.columns;
            sumBias += __ldcg(in + column);
            sumGain += __ldcg(in + s.columns + column);
        }
    overLines();
    if (threadIdx.y != 0 || !there) return;
    if (dBias.data != nullptr) dBias.put(column, sumBias);
    if (dGain.data != nullptr) dGain.put(column, sumGain);
}

}  // namespace

void sumColumns(Arena& arena, const ColumnSums& sums, const Variable& gain, const Variable& bias) {
    const Out dGain = outOf(gain), dBias = outOf(bias);
    if (dGain.data == nullptr && dBias.data == nullptr) return;
    // At most 128 parts, so that the second sum stays short.
    const std::int64_t rowsOfPart = std::max(kRowsOfPart, (sums.rows + 127) / 128);
    const std::int64_t parts = (sums.rows + rowsOfPart - 1) / rowsOfPart;
    float* partial = arena.tensor({parts, 2, sums.columns}).onDeviceAs<float>();
    DeviceContext& context = *arena.context();
    const dim3 blocks(blocksFor(sums.columns, kColumns), static_cast<unsigned>(parts));
    sumKernel<<<blocks, dim3(kColumns, kLines), 0, context.stream()>>>(sums, rowsOfPart, partial,
                                                                       context.counters(blocks.x), dGain, dBias);
    checkLaunch("sums of columns");
}

}  // namespace linscope::cuda
