#include "core/cuda/blas.h"
#include "core/cuda/launch.cuh"
#include "core/cuda/reduce.h"
#include "core/ops/linear.h"

namespace linscope::cuda {
namespace {

constexpr float kScale = 0.7978845608028654f, kCubic = 0.044715f;  // core/ops/gelu.h

void gelu(cudaStream_t stream, const float* x, float* y, std::int64_t count) {
    forEach(stream, count, "gelu", [=] __device__(std::int64_t i) {
        const float v = x[i];
        y[i] = 0.5f * v * (1.0f + tanhf(kScale * v * (1.0f + kCubic * v * v)));
    });
}

/// dx = gelu′(x)·dy
void geluBackward(cudaStream_t stream, const float* x, const float* dy, float* dx, std::int64_t count) {
    forEach(stream, count, "gelu, backwards", [=] __device__(std::int64_t i) {
        const float v = x[i], t = tanhf(kScale * v * (1.0f + kCubic * v * v));
        dx[i] = dy[i] * 0.5f * ((1.0f + t) + v * (1.0f - t * t) * kScale * (1.0f + 3.0f * kCubic * v * v));
    });
}

}  // namespace

Variable linear(const Variable& x, const Variable& weight, const Variable& bias, Activation activation,
                const Shape& shape) {
    const std::int64_t out = weight.shape()[0], in = weight.shape()[1], rows = x.value().elements() / in;
    Tape& tape = x.tape();
    const Variable y = tape.result(shape, x.type(), x, weight, bias);
    const Tensor pre = activation == Activation::None ? Tensor{} : tape.arena().tensor(shape, x.type());
    float* target = (pre.empty() ? y.value() : pre).onDeviceAs<float>();
    Blas& blas = contextOf(y).blas();
    blas.multiply({{.m = rows, .n = out, .k = in, .transposeB = true, .lda = in, .ldb = in, .ldc = out},
                   1,
                   0,
                   0,
                   0,
                   bias.value().onDeviceAs<float>()},
                  x.value().onDeviceAs<float>(), weight.value().onDeviceAs<float>(), target);
    if (!pre.empty()) gelu(streamOf(y), target, y.value().onDeviceAs<float>(), rows * out);
    tape.record(y, [=] {
        Blas& products = contextOf(y).blas();
        const float* gradient = y.gradient().onDeviceAs<float>();
        if (!pre.empty()) {
            float* dPre = y.tape().arena().tensor(pre.shape(), pre.type()).onDeviceAs<float>();
            geluBackward(streamOf(y), pre.onDeviceAs<float>(), gradient, dPre, rows * out);
            gradient = dPre;
        }
        if (x.needsGradient()) {
            const Out dx = outOf(x);
            products.multiply(
                {{.m = rows, .n = in, .k = out, .lda = out, .ldb = in, .ldc = in, .beta = dx.add ? 1.0 : 0.0}},
                gradient, weight.value().onDeviceAs<float>(), dx.data);
        }
        const DeviceContext::Beside beside(contextOf(y));
        if (weight.needsGradient()) {
            const Out dw = outOf(weight);
            products.multiply({{.m = out,
                                .n = in,
                                .k = rows,
                                .transposeA = true,
                                .lda = out,
                                .ldb = in,
                                .ldc = in,
                                .beta = dw.add ? 1.0 : 0.0}},
                              gradient, x.value().onDeviceAs<float>(), dw.data);
        }
        sumColumns(y.tape().arena(), {.dy = gradient, .rows = rows, .columns = out}, {}, bias);
    });
    return y;
}

}  // namespace linscope::cuda
