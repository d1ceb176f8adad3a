#include "core/cuda/launch.cuh"
#include "core/ops/elementwise.h"

namespace linscope::cuda {
namespace {

/// to (+)= factor·from
void spread(const Variable& x, const Variable& y, float factor) {
    const Out out = outOf(x);
    const In gradient = inOf(y.gradient());
    forEach(streamOf(y), y.value().elements(), "scale, backwards",
            [=] __device__(std::int64_t i) { out.put(i, factor * gradient[i]); });
}

void scaleRowsInto(cudaStream_t stream, const In& in, const float* factors, Out out, std::int64_t rows,
                   std::int64_t width) {
    forEach(stream, rows * width, "scaleRows", [=] __device__(std::int64_t i) {
        const float factor = factors[i / width];
        out.put(i, factor == 0.0f ? 0.0f : in[i] * factor);
    });
}

}  // namespace

Variable add(const Variable& a, const Variable& b) {
    Tape& tape = a.tape();
    const Variable y = tape.result(a.shape(), a.type(), a, b);
    const float *left = a.value().onDeviceAs<float>(), *right = b.value().onDeviceAs<float>();
    float* out = y.value().onDeviceAs<float>();
    forEach(streamOf(y), y.value().elements(), "add", [=] __device__(std::int64_t i) { out[i] = left[i] + right[i]; });
    tape.record(y, [=] {
        // b's is copied before a takes the sum's own memory over.
        if (b.needsGradient()) spread(b, y, 1.0f);
        if (a.needsGradient() && !a.adoptGradient(y.gradient())) spread(a, y, 1.0f);
    });
    return y;
}

Variable scale(const Variable& x, double factor) {
    Tape& tape = x.tape();
    const Variable y = tape.result(x.shape(), x.type(), x);
    const In in = inOf(x.value());
    const Out out = outOf(y.value());
    const auto times = static_cast<float>(factor);
    forEach(streamOf(y), y.value().elements(), "scale", [=] __device__(std::int64_t i) { out.put(i, times * in[i]); });
    tape.record(y, [=] { spread(x, y, times); });
    return y;
}

Variable scaleRows(const Variable& x, std::span<const float> factors) {
    Tape& tape = x.tape();
    const Variable y = tape.result(x.shape(), x.type(), x);
    const std::int64_t width = x.shape()[-1], rows = x.value().elements() / width;
    const float* data = factors.data();
    scaleRowsInto(streamOf(y), inOf(x.value()), data, outOf(y.value()), rows, width);
    tape.record(y, [=] { scaleRowsInto(streamOf(y), inOf(y.gradient()), data, outOf(x), rows, width); });
    return y;
}

void addGradient(const Variable& x, const Variable& y) {
    spread(x, y, 1.0f);
}

}  // namespace linscope::cuda
