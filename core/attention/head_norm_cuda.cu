#include "core/attention/head_norm.h"
#include "core/cuda/launch.cuh"

namespace linscope::cuda {
namespace {

constexpr int kRows = 8;  // of a block: a warp each

struct Norm {
    double factor, epsilon;
    std::int64_t rows;
    int width;

    /// Σ x·y of a row, known to the whole warp. In double: a gradient goes through the difference of two terms that are
    /// equal but for ε, and what rounding leaves of it comes back magnified by up to 1/√ε.
    __device__ double dot(const float* x, const float* y) const {
        double sum = 0;
        for (int c = static_cast<int>(threadIdx.x); c < width; c += static_cast<int>(kWarp))
            sum += static_cast<double>(x[c]) * static_cast<double>(y[c]);
        return warpSum(sum);
    }
    /// 1/√(Σx² + ε)
    __device__ double inverse(const float* x) const { return 1.0 / sqrt(dot(x, x) + epsilon); }
};

__device__ std::int64_t ownRow() {
    return static_cast<std::int64_t>(blockIdx.x) * kRows + threadIdx.y;
}

__global__ void forwardKernel(Norm norm, const float* x, float* y) {
    waitForEarlier();
    const std::int64_t row = ownRow();
    if (row >= norm.rows) return;
    const auto scale = static_cast<float>(norm.factor * norm.inverse(x + row * norm.width));
    for (int c = static_cast<int>(threadIdx.x); c < norm.width; c += static_cast<int>(kWarp))
        y[row * norm.width + c] = x[row * norm.width + c] * scale;
}

/// With s = f/√(Σx² + ε): dx = s·dy − (s³/f²)·⟨x, dy⟩·x.
__global__ void backwardKernel(Norm norm, const float* x, const float* dy, Out dx) {
    waitForEarlier();
    const std::int64_t row = ownRow();
    if (row >= norm.rows) return;
    const float *in = x + row * norm.width, *d = dy + row * norm.width;
    const double inverse = norm.inverse(in), scale = norm.factor * inverse;
    const double along = scale * inverse * inverse * norm.dot(in, d);
    for (int c = static_cast<int>(threadIdx.x); c < norm.width; c += static_cast<int>(kWarp))
        dx.put(row * norm.width + c,
               static_cast<float>(scale * static_cast<double>(d[c]) - along * static_cast<double>(in[c])));
}

}  // namespace

Variable normaliseRows(const Variable& x, RowNorm norm) {
    const std::int64_t width = x.shape()[-1];
    const Norm own{norm.factor, norm.epsilon, x.value().elements() / width, static_cast<int>(width)};
    const Variable y = x.tape().result(x.shape(), x.type(), x);
    const dim3 block(kWarp, kRows);
    launch(streamOf(y), "normaliseRows", {blocksFor(own.rows, kRows), block}, forwardKernel, own,
           x.value().onDeviceAs<float>(), y.value().onDeviceAs<float>());
    x.tape().record(y, [=] {
        launch(streamOf(y), "normaliseRows, backwards", {blocksFor(own.rows, kRows), dim3(kWarp, kRows)},
               backwardKernel, own, x.value().onDeviceAs<float>(), y.gradient().onDeviceAs<float>(), outOf(x));
    });
    return y;
}

}  // namespace linscope::cuda
