#include "core/ops/softmax.h"

#include <cmath>
#include <limits>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"

namespace linscope {
namespace {

template <typename T>
void softmaxRow(const T* x, const float* keep, T* y, std::int64_t width) {
    T greatest = -std::numeric_limits<T>::infinity();
    for (std::int64_t j = 0; j < width; ++j)
        if (!keep || keep[j] != 0.0f) greatest = std::max(greatest, x[j]);
    T sum = 0;
    for (std::int64_t j = 0; j < width; ++j) {
        y[j] = !keep || keep[j] != 0.0f ? std::exp(x[j] - greatest) : T(0);
        sum += y[j];
    }
    const T factor = sum == T(0) ? T(0) : T(1) / sum;
    for (std::int64_t j = 0; j < width; ++j) y[j] *= factor;
}

}  // namespace

Variable softmax(const Variable& x, std::span<const float> keep) {
    const std::int64_t width = x.shape()[-1], rows = x.value().elements() / width;
    const std::int64_t rowsPerSample = rows / x.shape()[0];
    require(keep.empty() || static_cast<std::int64_t>(keep.size()) == x.shape()[0] * width, "softmax",
            "a mask [B,S] of {} values, but got {}", x.shape()[0] * width, keep.size());
    Tape& tape = x.tape();
    const Variable y = tape.result(x.shape(), x.type(), x);
    dispatchReal(x.type(), [&](auto zero) {
        using T = decltype(zero);
        parallelFor(rows, 16, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t row = first; row < last; ++row)
                softmaxRow(x.value().as<T>() + row * width,
                           keep.empty() ? nullptr : keep.data() + row / rowsPerSample * width,
                           y.value().as<T>() + row * width, width);
        });
    });
    tape.record(y, [=] {
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            const auto sink = x.gradientSink();
            const T *p = y.value().as<T>(), *dy = y.gradient().as<T>();
            parallelFor(rows, 16, [&](std::int64_t first, std::int64_t last) {
                for (std::int64_t row = first; row < last; ++row) {
                    const std::int64_t at = row * width;
                    T dot = 0;
                    for (std::int64_t j = 0; j < width; ++j) dot += p[at + j] * dy[at + j];
                    T* out = sink.tensor.as<T>() + at;
                    for (std::int64_t j = 0; j < width; ++j) {
                        const T value = p[at + j] * (dy[at + j] - dot);
                        out[j] = sink.accumulate ? out[j] + value : value;
                    }
                }
            });
        });
    });
    return y;
}

}  // namespace linscope
