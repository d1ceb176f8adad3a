#include "core/attention/gated_delta/key_gates.h"
#include "core/cuda/launch.cuh"

namespace linscope::cuda {
namespace {

constexpr std::int64_t kTokensOfPart = 64;

__device__ float sigmoid(float x) {
    // Neither branch has an exponential that overflows.
    return x >= 0.0f ? 1.0f / (1.0f + expf(-x)) : expf(x) / (1.0f + expf(x));
}

/// dw_h = Σ dx·k and db_h = Σ dx over all tokens: parts of the tokens first, and then the parts in order, the same bits
/// every time. A column of [H,D+1] for each: the last one is the bias'.
void parameterGradients(const Variable& x, const Variable& k, const Variable& weight, const Variable& bias) {
    const std::int64_t heads = k.shape()[2], width = k.shape()[3], columns = heads * (width + 1);
    const std::int64_t tokens = k.shape()[0] * k.shape()[1], parts = (tokens + kTokensOfPart - 1) / kTokensOfPart;
    float* partial = x.tape().arena().tensor({parts, columns}).onDeviceAs<float>();
    const float *dx = x.gradient().onDeviceAs<float>(), *in = k.value().onDeviceAs<float>();
    forEach(streamOf(x), parts * columns, "key gate, backwards", [=] __device__(std::int64_t i) {
        const std::int64_t h = i % columns / (width + 1), d = i % (width + 1), first = i / columns * kTokensOfPart;
        float sum = 0;
        for (std::int64_t t = first; t < min(tokens, first + kTokensOfPart); ++t)
            sum += dx[t * heads + h] * (d < width ? in[(t * heads + h) * width + d] : 1.0f);
        partial[i] = sum;
    });
    const Out dWeight = outOf(weight), dBias = outOf(bias);
    forEach(streamOf(x), columns, "key gate, backwards", [=] __device__(std::int64_t i) {
        const std::int64_t h = i / (width + 1), d = i % (width + 1);
        float sum = 0;
        for (std::int64_t part = 0; part < parts; ++part) sum += partial[part * columns + i];
        if (d < width && dWeight.data != nullptr) dWeight.put(h * width + d, sum);
        if (d == width && dBias.data != nullptr) dBias.put(h, sum);
    });
}

/// y = value(x) with dy/dx = slope(x, y), by element.
template <typename Value, typename Slope>
Variable byElement(const Variable& x, const char* name, Value value, Slope slope) {
    const Variable y = x.tape().result(x.shape(), x.type(), x);
    const float* in = x.value().onDeviceAs<float>();
    float* out = y.value().onDeviceAs<float>();
    forEach(streamOf(y), x.value().elements(), name, [=] __device__(std::int64_t i) { out[i] = value(in[i]); });
    x.tape().record(y, [=] {
        const float* dy = y.gradient().onDeviceAs<float>();
        const Out dx = outOf(x);
        forEach(streamOf(y), y.value().elements(), name,
                [=] __device__(std::int64_t i) { dx.put(i, dy[i] * slope(in[i], out[i])); });
    });
    return y;
}

struct Strength {
    float most;
    __device__ float operator()(float x) const { return most * sigmoid(x); }
};
struct StrengthSlope {
    __device__ float operator()(float x, float y) const { return y * sigmoid(-x); }
};
struct Forgetting {
    __device__ float operator()(float x) const { return fminf(x, 0.0f) - log1pf(expf(-fabsf(x))); }
};
struct ForgettingSlope {
    __device__ float operator()(float x, float) const { return sigmoid(-x); }
};

}  // namespace

Variable keyGate(const Variable& k, const Variable& weight, const Variable& bias) {
    const std::int64_t heads = k.shape()[2], width = k.shape()[3], rows = k.value().elements() / width;
    const Variable x = k.tape().result({k.shape()[0], k.shape()[1], heads}, k.type(), k, weight, bias);
    const float *in = k.value().onDeviceAs<float>(), *w = weight.value().onDeviceAs<float>(),
                *b = bias.value().onDeviceAs<float>();
    float* out = x.value().onDeviceAs<float>();
    forEach(streamOf(x), rows, "key gate", [=] __device__(std::int64_t i) {
        float sum = 0;
        for (std::int64_t d = 0; d < width; ++d) sum += in[i * width + d] * w[i % heads * width + d];
        out[i] = sum + b[i % heads];
    });
    k.tape().record(x, [=] {
        const float* dx = x.gradient().onDeviceAs<float>();
        if (k.needsGradient()) {
            const Out dk = outOf(k);
            forEach(streamOf(x), rows * width, "key gate, backwards",
                    [=] __device__(std::int64_t i) { dk.put(i, dx[i / width] * w[i % (heads * width)]); });
        }
        if (weight.needsGradient() || bias.needsGradient()) parameterGradients(x, k, weight, bias);
    });
    return x;
}

Variable writingStrength(const Variable& x, double most) {
    return byElement(x, "writing strength", Strength{static_cast<float>(most)}, StrengthSlope{});
}

Variable logForgetting(const Variable& x) {
    return byElement(x, "log forgetting", Forgetting{}, ForgettingSlope{});
}

}  // namespace linscope::cuda
