#include <algorithm>

#include "core/cuda/launch.cuh"
#include "core/ops/short_convolution.h"

namespace linscope::cuda {
namespace {

struct Places {
    std::int64_t rows, length, width;  // B·T, T, C
    std::int64_t taps, ahead;          // K, s
    const float* keep;                 // [B,T] or null

    __device__ bool kept(std::int64_t row) const { return keep == nullptr || keep[row] != 0.0f; }
    /// Whether the row `shift` tokens from `row` is a token of the same sequence.
    __device__ bool there(std::int64_t row, std::int64_t shift) const {
        const std::int64_t t = row % length + shift;
        return t >= 0 && t < length && kept(row + shift);
    }
    /// out(+)= x_t + Σ_j w_j ∘ x_{t+direction·(s−j)}: the convolution, or with direction −1 its gradient's way back.
    __device__ float convolved(const float* x, const float* weight, std::int64_t row, std::int64_t c,
                               std::int64_t direction) const {
        if (!kept(row)) return 0.0f;
        float sum = x[row * width + c];
        for (std::int64_t j = 0; j < taps; ++j)
            if (const std::int64_t shift = direction * (ahead - j); there(row, shift))
                sum += x[(row + shift) * width + c] * weight[j * width + c];
        return sum;
    }
};

void convolve(cudaStream_t stream, const Places& places, const float* x, const float* weight, std::int64_t direction,
              Out out) {
    forEach(stream, places.rows * places.width, "shortConvolution", [=] __device__(std::int64_t i) {
        out.put(i, places.convolved(x, weight, i / places.width, i % places.width, direction));
    });
}

/// dw_j = Σ_t dy_t ∘ x_{t+s−j}: parts of the rows first, and then the parts in order, the same bits every time.
void weightBackward(const Variable& x, const Variable& weight, const Variable& y, const Places& places) {
    constexpr std::int64_t kRowsOfPart = 64;
    const std::int64_t size = places.taps * places.width, parts = (places.rows + kRowsOfPart - 1) / kRowsOfPart;
    float* partial = y.tape().arena().tensor({parts, places.taps, places.width}).onDeviceAs<float>();
    const float *in = x.value().onDeviceAs<float>(), *dy = y.gradient().onDeviceAs<float>();
    forEach(streamOf(y), parts * size, "shortConvolution, backwards", [=] __device__(std::int64_t i) {
        const std::int64_t c = i % places.width, j = i / places.width % places.taps, first = i / size * kRowsOfPart;
        const std::int64_t shift = places.ahead - j, last = min(places.rows, first + kRowsOfPart);
        float sum = 0;
        for (std::int64_t row = first; row < last; ++row)
            if (places.kept(row) && places.there(row, shift))
                sum += dy[row * places.width + c] * in[(row + shift) * places.width + c];
        partial[i] = sum;
    });
    const Out out = outOf(weight);
    forEach(streamOf(y), size, "shortConvolution, backwards", [=] __device__(std::int64_t i) {
        float sum = 0;
        for (std::int64_t part = 0; part < parts; ++part) sum += partial[part * size + i];
        out.put(i, sum);
    });
}

}  // namespace

Variable shortConvolution(const Variable& x, const Variable& weight, const ConvolutionReach& reach) {
    const std::int64_t taps = weight.shape()[0];
    const Places places{.rows = x.shape()[0] * x.shape()[1],
                        .length = x.shape()[1],
                        .width = weight.shape()[1],
                        .taps = taps,
                        .ahead = reach.centred ? (taps - 1) / 2 : 0,
                        .keep = reach.keep.empty() ? nullptr : reach.keep.data()};
    const Variable y = x.tape().result(x.shape(), x.type(), x, weight);
    const float* kernel = weight.value().onDeviceAs<float>();
    convolve(streamOf(y), places, x.value().onDeviceAs<float>(), kernel, 1, {y.value().onDeviceAs<float>()});
    x.tape().record(y, [=] {
        if (x.needsGradient()) convolve(streamOf(y), places, y.gradient().onDeviceAs<float>(), kernel, -1, outOf(x));
        if (weight.needsGradient()) weightBackward(x, weight, y, places);
    });
    return y;
}

}  // namespace linscope::cuda
