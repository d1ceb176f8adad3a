#include "core/attention/head_norm.h"

#include <Eigen/Core>
#include <cmath>

#include "core/autograd/tape.h"
#include "core/base/parallel.h"
#include "core/ops/pointwise.h"

namespace linscope {
namespace {

constexpr std::int64_t kGrain = 64;

template <typename T>
using Row = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
template <typename T>
using ConstRow = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;

template <typename T>
T factorOf(const ConstRow<T>& x, RowNorm norm) {
    return static_cast<T>(norm.factor) / std::sqrt(x.square().sum() + static_cast<T>(norm.epsilon));
}

}  // namespace

RowNorm rmsNorm(std::int64_t width, double epsilon) {
    const auto d = static_cast<double>(width);
    return {std::sqrt(d), d * epsilon};
}

Variable normaliseRows(const Variable& x, RowNorm norm) {
    if (x.value().onDevice()) return cuda::normaliseRows(x, norm);
    const std::int64_t width = x.shape()[-1], rows = x.value().elements() / width;
    Tape& tape = x.tape();
    const Variable y = tape.result(x.shape(), x.type(), x);
    dispatchReal(x.type(), [&](auto zero) {
        using T = decltype(zero);
        parallelFor(rows, kGrain, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t r = first; r < last; ++r) {
                const ConstRow<T> in(x.value().as<T>() + r * width, width);
                Row<T>(y.value().as<T>() + r * width, width) = in * factorOf(in, norm);
            }
        });
    });
    tape.record(y, [=] {
        const Variable::Sink sink = x.gradientSink();
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            parallelFor(rows, kGrain, [&](std::int64_t first, std::int64_t last) {
                for (std::int64_t r = first; r < last; ++r) {
                    const ConstRow<T> in(x.value().as<T>() + r * width, width);
                    const ConstRow<T> dy(y.gradient().as<T>() + r * width, width);
                    Row<T> dx(sink.tensor.as<T>() + r * width, width);
                    // With s = f/√(Σx² + ε): dx = s·dy − (s³/f²)·⟨x, dy⟩·x.
                    const T s = factorOf(in, norm), ratio = s / static_cast<T>(norm.factor);
                    const T along = s * ratio * ratio * (in * dy).sum();
                    if (sink.accumulate)
                        dx += s * dy - along * in;
                    else
                        dx = s * dy - along * in;
                }
            });
        });
    });
    return y;
}

Variable plainNormaliseRows(const Variable& x, RowNorm norm) {
    const double factor = norm.factor, epsilon = norm.epsilon;
    const Variable factors = pointwise(
        sumLast(multiply(x, x)),
        [=](auto sum) {
            using T = decltype(sum);
            return static_cast<T>(factor) / std::sqrt(sum + static_cast<T>(epsilon));
        },
        [=](auto, auto y) {
            using T = decltype(y);
            return T(-0.5) * y * y * y / static_cast<T>(factor * factor);
        });
    return multiplyRows(x, factors);
}

void normaliseRow(float* row, std::int64_t width, RowNorm norm) {
    Row<float>(row, width) *= factorOf<float>(ConstRow<float>(row, width), norm);
}

}  // namespace linscope
