#include "core/cuda/launch.cuh"
#include "core/nn/device_parameters.h"
#include "core/optim/adamw.h"

namespace linscope::cuda {
namespace {

constexpr int kParts = 256;  // sums of squares: a fixed number, so that the order is fixed

/// Of `fours` times four numbers.
__global__ void squaresKernel(const float* gradients, std::int64_t fours, double* parts) {
    waitForEarlier();
    __shared__ double own[kThreads];
    double sum = 0;
    const std::int64_t step = static_cast<std::int64_t>(kParts) * kThreads;
#pragma unroll 4
    for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < fours; i += step) {
        const float4 g = readFour(gradients + 4 * i);
        const auto square = [](double value) { return value * value; };
        sum += square(g.x) + square(g.y) + square(g.z) + square(g.w);
    }
    own[threadIdx.x] = sum;
    for (int half = kThreads / 2; half > 0; half /= 2) {
        __syncthreads();
        if (static_cast<int>(threadIdx.x) < half) own[threadIdx.x] += own[threadIdx.x + half];
    }
    if (threadIdx.x == 0) parts[blockIdx.x] = own[0];
}

/// The norm, what gradients are to be multiplied with (NaN: no step), and the result.
__global__ void decideKernel(const double* parts, float clip, const float* loss, const float* accuracy, float* factor,
                             StepResult* result) {
    waitForEarlier();
    __shared__ double own[kParts];
    own[threadIdx.x] = parts[threadIdx.x];
    for (int half = kParts / 2; half > 0; half /= 2) {
        __syncthreads();
        if (static_cast<int>(threadIdx.x) < half) own[threadIdx.x] += own[threadIdx.x + half];
    }
    if (threadIdx.x != 0) return;
    const auto norm = static_cast<float>(sqrt(own[0]));
    const bool finite = isfinite(*loss) && isfinite(norm);
    *factor = !finite ? NAN : clip > 0.0f && norm > clip ? clip / norm : 1.0f;
    *result = {*loss, *accuracy, norm};
}

struct Moments {
    float beta1, beta2, epsilon;
};

/// One number's step: w, and its moments m and v, from its gradient g.
__device__ void step(float& w, float& m, float& v, float g, const Moments& moments, float keep,
                     const AdamwNumbers& numbers) {
    m = moments.beta1 * m + (1.0f - moments.beta1) * g;
    v = moments.beta2 * v + (1.0f - moments.beta2) * g * g;
    w = keep * w - numbers.stepSize * m / (sqrtf(v) * numbers.root + moments.epsilon);
}

/// A thread has four numbers, which are of one chunk.
__global__ void stepKernel(float* values, Bf16* rounded, const float* gradients, float* firsts, float* seconds,
                           const std::uint8_t* chunks, std::int64_t count, Moments moments, const AdamwNumbers* numbers,
                           const float* factor) {
    waitForEarlier();
    const std::int64_t i = 4 * (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x);
    const float times = *factor;
    if (i >= count || isnan(times)) return;
    const std::uint8_t bits = chunks[i / DeviceParameters::kChunk];
    if ((bits & 1) == 0) return;
    const AdamwNumbers now = *numbers;
    const float keep = (bits & 2) != 0 ? now.keep : 1.0f;
    const float4 g = readFour(gradients + i);
    float4 w = readFour(values + i), m = readFour(firsts + i), v = readFour(seconds + i);
    step(w.x, m.x, v.x, g.x * times, moments, keep, now);
    step(w.y, m.y, v.y, g.y * times, moments, keep, now);
    step(w.z, m.z, v.z, g.z * times, moments, keep, now);
    step(w.w, m.w, v.w, g.w * times, moments, keep, now);
    writeFour(firsts + i, m);
    writeFour(seconds + i, v);
    writeFour(values + i, w);
    if (rounded != nullptr) writeFour(rounded + i, w);
}

}  // namespace

void adamwStep(Arena& arena, const DeviceParameters& parameters, const OptimizerOptions& options,
               const AdamwNumbers* numbers, const Tensor& loss, const Tensor& accuracy, StepResult* result) {
    cudaStream_t stream = arena.context()->stream();
    double* parts = arena.tensor({kParts}, DType::F64).onDeviceAs<double>();
    float* factor = arena.tensor({1}).onDeviceAs<float>();
    const std::int64_t count = parameters.size();
    launch(stream, "the gradient's norm", {kParts, kThreads}, squaresKernel, parameters.gradients(), count / 4, parts);
    launch(stream, "the gradient's norm", {1, kParts}, decideKernel, parts, static_cast<float>(options.clip),
           loss.onDeviceAs<float>(), accuracy.onDeviceAs<float>(), factor, result);
    const Moments moments{static_cast<float>(options.beta1), static_cast<float>(options.beta2),
                          static_cast<float>(options.epsilon)};
    launch(stream, "AdamW", {blocksFor(count, 4 * kThreads), kThreads}, stepKernel, parameters.values(),
           parameters.rounded(), parameters.gradients(), parameters.firstMoments(), parameters.secondMoments(),
           parameters.chunks(), count, moments, numbers, factor);
}

}  // namespace linscope::cuda
