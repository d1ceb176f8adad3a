#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "core/autograd/tape.h"
#include "core/cuda/check.h"
#include "core/cuda/context.h"
#include "core/cuda/ptx.cuh"

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

/// Four numbers that lie at a multiple of four.
__device__ inline float4 readFour(const float* x) {
    return *reinterpret_cast<const float4*>(x);
}
__device__ inline float4 readFour(const Bf16* x) {
    const uint2 bits = *reinterpret_cast<const uint2*>(x);
    return {__uint_as_float(bits.x << 16), __uint_as_float(bits.x & 0xFFFF0000u), __uint_as_float(bits.y << 16),
            __uint_as_float(bits.y & 0xFFFF0000u)};
}
__device__ inline void writeFour(float* x, const float4& four) {
    *reinterpret_cast<float4*>(x) = four;
}
__device__ inline void writeFour(Bf16* x, const float4& four) {
    *reinterpret_cast<uint2*>(x) = {packBf16(four.x, four.y), packBf16(four.z, four.w)};
}
__device__ inline void addFour(float4& to, const float4& more) {
    to = {to.x + more.x, to.y + more.y, to.z + more.z, to.w + more.w};
}

/// Every kernel's first statement: what was asked for before it has been done when this returns. From then on what
/// comes behind may take its place on the device and wait there, as starting and ending kernels is a large part of a
/// small model's time; earlier, it would take room from what is being waited for.
__device__ inline void waitForEarlier() {
#if __CUDA_ARCH__ >= 900
    cudaGridDependencySynchronize();
    cudaTriggerProgrammaticLaunchCompletion();
#endif
}

struct LaunchShape {
    dim3 blocks, threads;
    std::size_t sharedBytes = 0;
};

/// Starts a kernel, whose first statement is waitForEarlier(). Throws Error for more blocks across than there can be,
/// which are those of sequences and heads.
template <typename... Parameters>
void launch(cudaStream_t stream, const char* name, const LaunchShape& shape, void (*kernel)(Parameters...),
            std::type_identity_t<Parameters>... arguments) {
    checkAcross(std::max(shape.blocks.y, shape.blocks.z), name);
    cudaLaunchAttribute early{};
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = shape.blocks;
    config.blockDim = shape.threads;
    config.dynamicSmemBytes = shape.sharedBytes;
    config.stream = stream;
    config.attrs = &early;
    config.numAttrs = kernelsOverlap() ? 1 : 0;
    check(cudaLaunchKernelEx(&config, kernel, arguments...), name);
}

/// A tensor of either type as a kernel reads it.
struct In {
    const void* data = nullptr;
    bool rounded = false;  ///< the numbers are Bf16
    __device__ float operator[](std::int64_t i) const {
        return rounded ? toFloat(static_cast<const Bf16*>(data)[i]) : static_cast<const float*>(data)[i];
    }
    /// Places i and i + 1, i even.
    __device__ float2 two(std::int64_t i) const {
        if (!rounded) return *reinterpret_cast<const float2*>(static_cast<const float*>(data) + i);
        const unsigned both = *reinterpret_cast<const unsigned*>(static_cast<const Bf16*>(data) + i);
        return {__uint_as_float(both << 16), __uint_as_float(both & 0xFFFF0000u)};
    }
    /// Places i to i + 3, i a multiple of four.
    __device__ float4 four(std::int64_t i) const {
        return rounded ? readFour(static_cast<const Bf16*>(data) + i) : readFour(static_cast<const float*>(data) + i);
    }
};
inline In inOf(const Tensor& tensor) {
    return {tensor.raw(), tensor.type() == DType::BF16};
}

/// A Variable::Sink as a kernel sees it.
struct Out {
    float* data = nullptr;  ///< null: nobody asks for this gradient
    bool add = false;
    bool rounded = false;  ///< the numbers at `data` are Bf16
    __device__ void put(std::int64_t i, float value) const {
        if (rounded) {
            Bf16* numbers = reinterpret_cast<Bf16*>(data);
            numbers[i] = toBf16(add ? toFloat(numbers[i]) + value : value);
        } else {
            data[i] = add ? data[i] + value : value;
        }
    }
    /// The same of places i and i + 1, i even; what is there now, before it is rounded.
    __device__ float2 putTwo(std::int64_t i, float first, float second) const {
        if (rounded) {
            unsigned& both = *reinterpret_cast<unsigned*>(reinterpret_cast<Bf16*>(data) + i);
            if (add) {
                first += __uint_as_float(both << 16);
                second += __uint_as_float(both & 0xFFFF0000u);
            }
            both = packBf16(first, second);
        } else {
            float2& both = *reinterpret_cast<float2*>(data + i);
            if (add) {
                first += both.x;
                second += both.y;
            }
            both = {first, second};
        }
        return {first, second};
    }
};
template <typename Number>
__host__ __device__ Out outAt(Number* numbers, bool add = false) {
    return {reinterpret_cast<float*>(numbers), add, std::is_same_v<Number, Bf16>};
}
__device__ inline void setNumber(float& number, float value) {
    number = value;
}
__device__ inline void setNumber(Bf16& number, float value) {
    number = toBf16(value);
}
inline Out outOf(const Tensor& tensor, bool add = false) {
    return {static_cast<float*>(tensor.raw()), add, tensor.type() == DType::BF16};
}
inline Out outOf(const Variable& x) {
    if (!x || !x.needsGradient()) return {};
    const Variable::Sink sink = x.gradientSink();
    return outOf(sink.tensor, sink.accumulate);
}

/// function(i) for i in [0, count), on as many threads.
template <typename Function>
__global__ void forEachKernel(std::int64_t count, Function function) {
    waitForEarlier();
    const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < count) function(i);
}
template <typename Function>
void forEach(cudaStream_t stream, std::int64_t count, const char* name, Function function) {
    if (count == 0) return;
    launch(stream, name, {blocksFor(count, kThreads), kThreads}, forEachKernel<Function>, count, function);
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
