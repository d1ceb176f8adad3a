#include "core/cuda/reduce.h"

#include "core/cuda/launch.cuh"

namespace linscope::cuda {
namespace {

constexpr int kThreadsOfLine = 32, kLines = 8;  // of a block; a thread has two columns
constexpr std::int64_t kRowsOfPart = 64;
constexpr int kTogether = 8;  // loads of a thread that are on their way at once

/// partial [count,parts,C/2,4]: sums of dy and of what is beside it over the rows of a part. The block that comes
/// last to its columns then sums the parts, in their order: who that is changes nothing. What is read is known when
/// this is compiled, and parts are read before any is added, since a branch between two loads makes the second wait for
/// the first: 16 parts cost a thread 16 trips to the second cache, and so two. The bound leaves registers for that
/// (four blocks a multiprocessor, where 8192 rows of 256 columns have 512); without it the compiler keeps three on
/// their way.
template <bool Gain, bool Rounded, bool Even>
__global__ void __launch_bounds__(kThreadsOfLine* kLines, 4)
    sumKernel(ColumnSums s, std::int64_t rowsOfPart, float* partial, unsigned* arrived, Out dGain, Out dBias) {
    waitForEarlier();
    __shared__ float4 lines[kLines][kThreadsOfLine];
    __shared__ bool last;
    const std::int64_t column = 2 * (static_cast<std::int64_t>(blockIdx.x) * kThreadsOfLine + threadIdx.x);
    const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * rowsOfPart;
    const std::int64_t end = min(s.rows, first + rowsOfPart);
    const bool there = column < s.columns, two = column + 1 < s.columns;
    const std::int64_t own = blockIdx.z;
    const In dy{static_cast<const char*>(s.dy) + own * s.strideDy * (Rounded ? sizeof(Bf16) : sizeof(float)), Rounded},
        ofGain{s.ofGain, false};
    if (dBias.data != nullptr) dBias.data += own * s.strideBias;
    unsigned* const count = arrived + own * gridDim.x + blockIdx.x;
    const auto read = [=](const In& from, std::int64_t at) {
        return Even ? from.two(at) : float2{from[at], two ? from[at + 1] : 0.0f};
    };
    float4 sum{};  // of the bias' two columns, and of the gain's
    if (there)
#pragma unroll kTogether
        for (std::int64_t row = first + threadIdx.y; row < end; row += kLines) {
            const std::int64_t at = row * s.columns + column;
            const float2 d = read(dy, at);
            sum.x += d.x;
            sum.y += d.y;
            if constexpr (Gain) {
                const float2 g = read(ofGain, at);
                sum.z += g.x;
                sum.w += g.y;
            }
        }
    const auto overLines = [&] {
        lines[threadIdx.y][threadIdx.x] = sum;
        __syncthreads();
        if (threadIdx.y != 0) return;
        for (int line = 1; line < kLines; ++line) addFour(sum, lines[line][threadIdx.x]);
    };
    overLines();
    const std::int64_t pairs = (s.columns + 1) / 2;
    auto* parts = reinterpret_cast<float4*>(partial) + own * gridDim.y * pairs;  // [parts, pairs of columns]
    if (threadIdx.y == 0 && there) {
        parts[blockIdx.y * pairs + column / 2] = sum;
        __threadfence();
    }
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) {
        last = atomicAdd(count, 1u) == gridDim.y - 1;
        if (last) *count = 0;  // for the next call
    }
    __syncthreads();
    if (!last) return;
    __threadfence();
    sum = {};
    for (unsigned part = threadIdx.y; there && part < gridDim.y; part += kLines * kTogether) {
        float4 some[kTogether];
#pragma unroll
        for (int i = 0; i < kTogether; ++i) {
            const unsigned at = part + i * kLines;
            some[i] = at < gridDim.y ? __ldcg(parts + at * pairs + column / 2) : float4{};
        }
#pragma unroll
        for (int i = 0; i < kTogether; ++i) addFour(sum, some[i]);
    }
    overLines();
    if (threadIdx.y != 0 || !there) return;
    if (dBias.data != nullptr) dBias.put(column, sum.x);
    if (dBias.data != nullptr && two) dBias.put(column + 1, sum.y);
    if (dGain.data != nullptr) dGain.put(column, sum.z);
    if (dGain.data != nullptr && two) dGain.put(column + 1, sum.w);
}

template <bool Gain>
auto kernelOf(bool rounded, bool even) {
    if (rounded) return even ? &sumKernel<Gain, true, true> : &sumKernel<Gain, true, false>;
    return even ? &sumKernel<Gain, false, true> : &sumKernel<Gain, false, false>;
}

}  // namespace

void sumColumns(Arena& arena, const ColumnSums& sums, const Variable& gain, const Variable& bias) {
    const Out dGain = outOf(gain), dBias = outOf(bias);
    if (dGain.data == nullptr && dBias.data == nullptr) return;
    // At most 128 parts, so that the second sum stays short.
    const std::int64_t rowsOfPart = std::max(kRowsOfPart, (sums.rows + 127) / 128);
    const std::int64_t parts = (sums.rows + rowsOfPart - 1) / rowsOfPart;
    float* partial = arena.tensor({sums.count * parts, (sums.columns + 1) / 2, 4}).onDeviceAs<float>();
    DeviceContext& context = *arena.context();
    const dim3 blocks(blocksFor(sums.columns, 2 * kThreadsOfLine), static_cast<unsigned>(parts),
                      static_cast<unsigned>(sums.count));
    const bool even = sums.columns % 2 == 0;
    const auto kernel =
        sums.ofGain != nullptr ? kernelOf<true>(sums.rounded, even) : kernelOf<false>(sums.rounded, even);
    launch(context.stream(), "sums of columns", {blocks, dim3(kThreadsOfLine, kLines)}, kernel, sums, rowsOfPart,
           partial, context.counters(blocks.x * blocks.z), dGain, dBias);
}

}  // namespace linscope::cuda
