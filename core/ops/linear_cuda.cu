#include "core/cuda/blas.h"
#include "core/cuda/launch.cuh"
#include "core/cuda/reduce.h"
#include "core/ops/linear.h"

namespace linscope::cuda {
namespace {

constexpr float kScale = 0.7978845608028654f, kCubic = 0.044715f;  // core/ops/gelu.h

/// tanh(√(2/π)(x + 0.044715x³)). The form loses digits near 0, where GELU adds 1 to it.
__device__ inline float tanhOf(float x) {
    return 1.0f - __fdividef(2.0f, 1.0f + __expf(2.0f * kScale * x * (1.0f + kCubic * x * x)));
}

struct Gelu {
    __device__ float operator()(float x, float) const { return 0.5f * x * (1.0f + tanhOf(x)); }
};
struct GeluBack {
    __device__ float operator()(float x, float dy) const {
        const float t = tanhOf(x);
        return dy * 0.5f * ((1.0f + t) + x * (1.0f - t * t) * kScale * (1.0f + 3.0f * kCubic * x * x));
    }
};

/// out = function(x, dy) by number, four at a time where they come in fours. dy null: 0.
template <typename Function>
void apply(cudaStream_t stream, const char* name, Function function, const float* x, const float* dy, float* out,
           std::int64_t count) {
    if (count % 4 != 0) {
        forEach(stream, count, name,
                [=] __device__(std::int64_t i) { out[i] = function(x[i], dy != nullptr ? dy[i] : 0.0f); });
        return;
    }
    forEach(stream, count / 4, name, [=] __device__(std::int64_t i) {
        const float4 v = reinterpret_cast<const float4*>(x)[i];
        const float4 d = dy != nullptr ? reinterpret_cast<const float4*>(dy)[i] : float4{};
        reinterpret_cast<float4*>(out)[i] = {function(v.x, d.x), function(v.y, d.y), function(v.z, d.z),
                                             function(v.w, d.w)};
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
    if (!pre.empty()) apply(streamOf(y), "gelu", Gelu{}, target, nullptr, y.value().onDeviceAs<float>(), rows * out);
    tape.record(y, [=] {
        Blas& products = contextOf(y).blas();
        const float* gradient = y.gradient().onDeviceAs<float>();
        if (!pre.empty()) {
            float* dPre = y.tape().arena().tensor(pre.shape(), pre.type()).onDeviceAs<float>();
            apply(streamOf(y), "gelu, backwards", GeluBack{}, pre.onDeviceAs<float>(), gradient, dPre, rows * out);
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
