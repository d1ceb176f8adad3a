#include "core/ops/layer_norm.h"

#include <Eigen/Core>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"

namespace linscope {
namespace {

constexpr double kEpsilon = 1e-5;
// Partial sums of the gain's and bias' gradients: a fixed number of them, whatever the number of threads.
constexpr std::int64_t kParts = 16;

template <typename T>
using Row = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
template <typename T>
using ConstRow = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;

template <typename T>
void forward(const Tensor& x, const Tensor& gain, const Tensor& bias, const Tensor& y, const Tensor& mean,
             const Tensor& scale) {
    const std::int64_t width = x.shape()[-1], rows = x.elements() / width;
    const ConstRow<T> g(gain.as<T>(), width), b(bias.as<T>(), width);
    parallelFor(rows, 64, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t row = first; row < last; ++row) {
            const ConstRow<T> in(x.as<T>() + row * width, width);
            const T m = in.mean();
            const T s = T(1) / std::sqrt((in - m).square().mean() + T(kEpsilon));
            Row<T>(y.as<T>() + row * width, width) = (in - m) * s * g + b;
            mean.as<T>()[row] = m;
            scale.as<T>()[row] = s;
        }
    });
}

template <typename T>
void backward(const Variable& x, const Variable& gain, const Variable& bias, const Tensor& dy, const Tensor& mean,
              const Tensor& scale, const Tensor& partial) {
    const std::int64_t width = x.shape()[-1], rows = x.value().elements() / width;
    const ConstRow<T> g(gain.value().as<T>(), width);
    const auto dx = x.needsGradient() ? x.gradientSink() : Variable::Sink{};
    const std::int64_t perPart = (rows + kParts - 1) / kParts;
    parallelFor(kParts, 1, [&](std::int64_t firstPart, std::int64_t lastPart) {
        for (std::int64_t part = firstPart; part < lastPart; ++part) {
            Row<T> dGain(partial.as<T>() + part * 2 * width, width), dBias(dGain.data() + width, width);
            dGain.setZero();
            dBias.setZero();
            for (std::int64_t row = part * perPart; row < std::min(rows, (part + 1) * perPart); ++row) {
                const ConstRow<T> in(x.value().as<T>() + row * width, width), d(dy.as<T>() + row * width, width);
                const T m = mean.as<T>()[row], s = scale.as<T>()[row];
                dBias += d;
                dGain += d * (in - m) * s;
                if (dx.tensor.empty()) continue;
                const T meanD = (d * g).mean();
                const T meanDx = (d * g * (in - m)).mean() * s;
                Row<T> out(dx.tensor.as<T>() + row * width, width);
                if (dx.accumulate)
                    out += s * (d * g - meanD - (in - m) * s * meanDx);
                else
                    out = s * (d * g - meanD - (in - m) * s * meanDx);
            }
        }
    });
    const auto sum = [&](const Variable& parameter, std::int64_t offset) {
        if (!parameter.needsGradient()) return;
        const auto sink = parameter.gradientSink();
        Row<T> out(sink.tensor.as<T>(), width);
        if (!sink.accumulate) out.setZero();
        for (std::int64_t part = 0; part < kParts; ++part)
            out += ConstRow<T>(partial.as<T>() + part * 2 * width + offset, width);
    };
    sum(gain, 0);
    sum(bias, width);
}

}  // namespace

Variable layerNorm(const Variable& x, const Variable& gain, const Variable& bias, Readers readers) {
    const std::int64_t width = x.shape()[-1], rows = x.value().elements() / width;
    require(gain.shape() == Shape{width} && bias.shape() == Shape{width}, "layerNorm",
            "x [..., C], gain [C], bias [C], but got {}, {}, {}", x.shape().text(), gain.shape().text(),
            bias.shape().text());
    if (x.value().onDevice()) return cuda::layerNorm(x, gain, bias, readers);
    Tape& tape = x.tape();
    const Variable y = tape.result(x.shape(), x.type(), x, gain, bias);
    const Tensor mean = tape.arena().tensor({rows}, x.type()), scale = tape.arena().tensor({rows}, x.type());
    dispatchReal(x.type(), [&](auto zero) {
        forward<decltype(zero)>(x.value(), gain.value(), bias.value(), y.value(), mean, scale);
    });
    tape.record(y, [=] {
        const Tensor partial = y.tape().arena().tensor({kParts, 2, width}, x.type());
        dispatchReal(x.type(),
                     [&](auto zero) { backward<decltype(zero)>(x, gain, bias, y.gradient(), mean, scale, partial); });
    });
    return y;
}

}  // namespace linscope
