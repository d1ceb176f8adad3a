#include "core/cuda/launch.cuh"
#include "core/nn/device_parameters.h"
#include "core/optim/adamw.h"

namespace linscope::cuda {
namespace {

constexpr int kParts = 256;  // sums of squares: a fixed number, so that the order is fixed

__global__ void squaresKernel(const float* gradients, std::int64_t count, double* parts) {
    __shared__ double own[kThreads];
    double sum = 0;
    const std::int64_t step = static_cast<std::int64_t>(kParts) * kThreads;
    for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += step)
        sum += static_cast<double>(gradients[i]) * static_cast<double>(gradients[i]);
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

__global__ void stepKernel(float* w, Bf16* rounded, const float* gradients, float* m, float* v,
                           const std::uint8_t* chunks, std::int64_t count, Moments moments, const AdamwNumbers* numbers,
                           const float* factor) {
    const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    const float times = *factor;
    if (i >= count || isnan(times)) return;
    const std::uint8_t bits = chunks[i / DeviceParameters::kChunk];
    if ((bits & 1) == 0) return;
    const float g = gradients[i] * times;
    const float first = moments.beta1 * m[i] + (1.0f - moments.beta1) * g;
    const float second = moments.beta2 * v[i] + (1.0f - moments.beta2) * g * g;
    m[i] = first;
    v[i] = second;
    const float keep = (bits & 2) != 0 ? numbers->keep : 1.0f;
    const float next = keep * w[i] - numbers->stepSize * first / (sqrtf(second) * numbers->root + moments.epsilon);
    w[i] = next;
    if (rounded != nullptr) rounded[i] = toBf16(next);
}

}  // namespace

void adamwStep(Arena& arena, const DeviceParameters& parameters, const OptimizerOptions& options,
               const AdamwNumbers* numbers, const Tensor& loss, const Tensor& accuracy, StepResult* result) {
    cudaStream_t stream = arena.context()->stream();
    double* parts = arena.tensor({kParts}, DType::F64).onDeviceAs<double>();
    float* factor = arena.tensor({1}).onDeviceAs<float>();
    const std::int64_t count = parameters.size();
    squaresKernel<<<kParts, kThreads, 0, stream>>>(parameters.gradients(), count, parts);
    checkLaunch("the gradient's norm");
    decideKernel<<<1, kParts, 0, stream>>>(parts, static_cast<float>(options.clip), loss.onDeviceAs<float>(),
                                           accuracy.onDeviceAs<float>(), factor, result);
    checkLaunch("the gradient's norm");
    const Moments moments{static_cast<float>(options.beta1), static_cast<float>(options.beta2),
                          static_cast<float>(options.epsilon)};
    stepKernel<<<blocksFor(count, kThreads), kThreads, 0, stream>>>(
        parameters.values(), parameters.rounded(), parameters.gradients(), parameters.firstMoments(),
        parameters.secondMoments(), parameters.chunks(), count, moments, numbers, factor);
    checkLaunch("AdamW");
}

}  // namespace linscope::cuda
