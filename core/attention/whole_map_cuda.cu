#include "core/attention/whole_map.h"

#include <cmath>

#include "core/cuda/blas.h"
#include "core/cuda/launch.cuh"
#include "core/cuda/rounded.h"

namespace linscope::cuda {
namespace {

constexpr int kThreadsOfBlock = 512;
constexpr std::int64_t kLongestOfWarp = 2048;  // numbers of a row that a warp goes over alone

/// to [A,C,B,D]: axes 1 and 2 of x [A,B,C,D] exchanged.
void swapMiddleInto(Arena& arena, const Tensor& x, const Tensor& to) {
    const std::int64_t b = x.shape()[1], c = x.shape()[2], d = x.shape()[3];
    const In in = inOf(x);
    const Out out = outOf(to);
    forEach(arena.context()->stream(), x.elements(), "axes exchanged", [=] __device__(std::int64_t i) {
        const std::int64_t row = i / d;  // (a·C + c)·B + b of `to`
        out.put(i, in[((row / (b * c) * b + row % b) * c + row / b % c) * d + i % d]);
    });
}

/// What `combine` makes of the values of the threads that share a row: a warp, or the whole block.
template <int kOfRow, typename Combine>
__device__ float overRow(float value, float (&warps)[kThreadsOfBlock / kWarp], const Combine& combine) {
    for (unsigned offset = kWarp / 2; offset > 0; offset /= 2)
        value = combine(value, __shfl_xor_sync(kAllLanes, value, offset));
    if constexpr (kOfRow == kThreadsOfBlock) {
        __syncthreads();
        if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = value;
        __syncthreads();
        value = warps[0];
        for (unsigned warp = 1; warp < kThreadsOfBlock / kWarp; ++warp) value = combine(value, warps[warp]);
    }
    return value;
}

/// softmax(factor·x) of rows of `width` numbers, two at a time. Threads: kOfRow for each row, x; rows of a block, y.
template <int kOfRow>
__global__ void __launch_bounds__(kThreadsOfBlock)
    softmaxKernel(In x, Out y, std::int64_t rows, std::int64_t width, float factor) {
    waitForEarlier();
    __shared__ float warps[kThreadsOfBlock / kWarp];
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y, at = row * width;
    if (row >= rows) return;  // of whole warps
    const bool even = width % 2 == 0;
    const auto read = [=](std::int64_t i) {
        const float2 two = even ? x.two(at + i) : float2{x[at + i], i + 1 < width ? x[at + i + 1] : -INFINITY};
        return float2{factor * two.x, factor * two.y};
    };
    float greatest = -INFINITY, sum = 0;
    for (std::int64_t i = 2 * threadIdx.x; i < width; i += 2 * kOfRow) {
        const float2 two = read(i);
        const float top = fmaxf(greatest, fmaxf(two.x, two.y));
        sum = sum * __expf(greatest - top) + __expf(two.x - top) + __expf(two.y - top);
        greatest = top;
    }
    const float top = overRow<kOfRow>(greatest, warps, [](float a, float b) { return fmaxf(a, b); });
    const float all = overRow<kOfRow>(sum == 0.0f ? 0.0f : sum * __expf(greatest - top), warps,
                                      [](float a, float b) { return a + b; });
    for (std::int64_t i = 2 * threadIdx.x; i < width; i += 2 * kOfRow) {
        const float2 two = read(i);
        const float first = __expf(two.x - top) / all, second = __expf(two.y - top) / all;
        if (even) {
            y.putTwo(at + i, first, second);
        } else {
            y.put(at + i, first);
            if (i + 1 < width) y.put(at + i + 1, second);
        }
    }
}

template <int kOfRow>
void softmaxRows(cudaStream_t stream, const Tensor& x, const Tensor& y, float factor) {
    const std::int64_t width = x.shape()[3], rows = x.elements() / width;
    constexpr int kRows = kThreadsOfBlock / kOfRow;
    launch(stream, "softmax of rows", {blocksFor(rows, kRows), dim3(kOfRow, kRows)}, softmaxKernel<kOfRow>, inOf(x),
           outOf(y), rows, width, factor);
}

}  // namespace

void wholeMapAttention(const Variable& q, const Variable& k, const Variable& v, const Variable& o) {
    Arena& arena = q.tape().arena();
    DeviceContext& context = *arena.context();
    const std::int64_t batch = q.shape()[0], length = q.shape()[1], heads = q.shape()[2], width = q.shape()[3];
    const DType type = productType(arena);
    const auto headsFirst = [&](const Variable& x) {
        const Tensor y = arena.tensor({batch, heads, length, width}, type);
        swapMiddleInto(arena, x.value(), y);
        return y;
    };
    const Tensor queries = headsFirst(q), keys = headsFirst(k), values = headsFirst(v);
    const Tensor scores = arena.tensor({batch, heads, length, length}, type), map = arena.tensor(scores.shape(), type),
                 mixed = arena.tensor(queries.shape(), type);
    Products products;
    products.m = products.n = length;
    products.k = width;
    products.transposeB = true;
    products.lda = products.ldb = width;
    products.ldc = length;
    products.batches = batch * heads;
    products.strideA = products.strideB = length * width;
    products.strideC = length * length;
    products.factors = products.result = type;
    context.blas().multiply(products, queries.raw(), keys.raw(), scores.raw());
    const float factor = 1.0f / std::sqrt(static_cast<float>(width));
    const auto softmax = length <= kLongestOfWarp ? &softmaxRows<kWarp> : &softmaxRows<kThreadsOfBlock>;
    softmax(context.stream(), scores, map, factor);
    products.n = width;
    products.k = length;
    products.transposeB = false;
    products.lda = length;
    products.ldb = products.ldc = width;
    products.strideA = length * length;
    products.strideB = products.strideC = length * width;
    context.blas().multiply(products, map.raw(), values.raw(), mixed.raw());
    swapMiddleInto(arena, mixed, o.value());
}

}  // namespace linscope::cuda
