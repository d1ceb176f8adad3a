#include "core/cuda/launch.cuh"
#include "core/cuda/reduce.h"
#include "core/ops/layer_norm.h"

namespace linscope::cuda {
namespace {

constexpr float kEpsilon = 1e-5f;
constexpr int kRows = 8;  // of a block: a warp each

__global__ void forwardKernel(const float* x, const float* gain, const float* bias, float* y, float* mean, float* scale,
                              std::int64_t rows, int width) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRows + threadIdx.y;
    if (row >= rows) return;
    const float* in = x + row * width;
    float sum = 0;
    for (int c = static_cast<int>(threadIdx.x); c < width; c += kWarp) sum += in[c];
    const float m = warpSum(sum) / static_cast<float>(width);
    float squares = 0;
    for (int c = static_cast<int>(threadIdx.x); c < width; c += kWarp) squares += (in[c] - m) * (in[c] - m);
    const float s = 1.0f / sqrtf(warpSum(squares) / static_cast<float>(width) + kEpsilon);
    for (int c = static_cast<int>(threadIdx.x); c < width; c += kWarp)
        y[row * width + c] = (in[c] - m) * s * gain[c] + bias[c];
    if (threadIdx.x == 0) {
        mean[row] = m;
        scale[row] = s;
    }
}

/// dx, and the terms of the gain's gradient: dy·(x − mean)·scale [rows,C], summed over rows afterwards.
__global__ void backwardKernel(const float* x, const float* gain, const float* dy, const float* mean,
                               const float* scale, std::int64_t rows, int width, Out dx) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRows + threadIdx.y;
    if (row >= rows) return;
    const float *in = x + row * width, *d = dy + row * width;
    const float m = mean[row], s = scale[row];
    float sumD = 0, sumDx = 0;
    for (int c = static_cast<int>(threadIdx.x); c < width; c += kWarp) {
        const float g = d[c] * gain[c];
        sumD += g;
        sumDx += g * (in[c] - m);
    }
    const float meanD = warpSum(sumD) / static_cast<float>(width);
    const float meanDx = warpSum(sumDx) / static_cast<float>(width) * s;
    for (int c = static_cast<int>(threadIdx.x); c < width; c += kWarp)
        dx.put(row * width + c, s * (d[c] * gain[c] - meanD - (in[c] - m) * s * meanDx));
}

}  // namespace

Variable layerNorm(const Variable& x, const Variable& gain, const Variable& bias) {
    const std::int64_t width = x.shape()[-1], rows = x.value().elements() / width;
    Tape& tape = x.tape();
    const Variable y = tape.result(x.shape(), x.type(), x, gain, bias);
    const Tensor mean = tape.arena().tensor({rows}, x.type()), scale = tape.arena().tensor({rows}, x.type());
    const dim3 block(kWarp, kRows);
    forwardKernel<<<blocksFor(rows, kRows), block, 0, streamOf(y)>>>(
        x.value().onDeviceAs<float>(), gain.value().onDeviceAs<float>(), bias.value().onDeviceAs<float>(),
        y.value().onDeviceAs<float>(), mean.onDeviceAs<float>(), scale.onDeviceAs<float>(), rows,
        static_cast<int>(width));
    checkLaunch("layerNorm");
    tape.record(y, [=] {
        const float* dy = y.gradient().onDeviceAs<float>();
        if (x.needsGradient()) {
            backwardKernel<<<blocksFor(rows, kRows), dim3(kWarp, kRows), 0, streamOf(y)>>>(
                x.value().onDeviceAs<float>(), gain.value().onDeviceAs<float>(), dy, mean.onDeviceAs<float>(),
                scale.onDeviceAs<float>(), rows, static_cast<int>(width), outOf(x));
            checkLaunch("layerNorm, backwards");
        }
        const DeviceContext::Beside beside(contextOf(y));
        sumColumns(y.tape().arena(),
                   {.x = x.value().onDeviceAs<float>(),
                    .dy = dy,
                    .mean = mean.onDeviceAs<float>(),
                    .scale = scale.onDeviceAs<float>(),
                    .rows = rows,
                    .columns = width},
                   gain, bias);
    });
    return y;
}

}  // namespace linscope::cuda
