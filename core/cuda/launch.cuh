#pragma once

#include <cstdint>

#include "core/autograd/tape.h"
#include "core/cuda/check.h"
#include "core/cuda/context.h"

// What kernels and their launches share. Included by .cu files alone.

namespace linscope::cuda {

inline constexpr int kThreads = 256;  // of kernels that go over numbers one by one
inline constexpr unsigned kWarp = 32, kAllLanes = 0xFFFFFFFFu;

inline unsigned blocksFor(std::int64_t count, std::int64_t perBlock) {
    return static_cast<unsigned>((count + perBlock - 1) / perBlock);
}

inline DeviceContext& contextOf(const Variable& x) {
    return *x.tape().arena().context();
}
inline cudaStream_t streamOf(const Variable& x) {
    return contextOf(x).stream();
}

/// A Variable::Sink as a kernel sees it.
struct Out {
    float* data = nullptr;  ///< null: nobody asks for this gradient
    bool add = false;
    __device__ void put(std::int64_t i, float value) const { data[i] = add ? data[i] + value : value; }
};
inline Out outOf(const Variable& x) {
    if (!x || !x.needsGradient()) return {};
    const Variable::Sink sink = x.gradientSink();
    return {sink.tensor.onDeviceAs<float>(), sink.accumulate};
}

/// function(i) for i in [0, count), on as many threads.
template <typename Function>
__global__ void forEachKernel(std::int64_t count, Function function) {
    const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < count) function(i);
}
template <typename Function>
void forEach(cudaStream_t stream, std::int64_t count, const char* name, Function function) {
    if (count == 0) return;
    forEachKernel<<<blocksFor(count, kThreads), kThreads, 0, stream>>>(count, function);
    checkLaunch(name);
}

__device__ inline float warpSum(float value) {
    for (unsigned offset = kWarp / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset);
    return value;
}
__device__ inline double warpSum(double value) {
    for (unsigned offset = kWarp / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset);
    return value;
}
__device__ inline float warpMax(float value) {
    for (unsigned offset = kWarp / 2; offset > 0; offset /= 2)
        value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset));
    return value;
}

}  // namespace linscope::cuda
