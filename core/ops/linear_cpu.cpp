#include "core/ops/linear.h"

#include <Eigen/Core>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/ops/elementwise.h"
#include "core/ops/gelu.h"
#include "core/ops/gemm.h"

namespace linscope {
namespace {

// Rows whose result of a few hundred columns stays in the second-level cache until it is activated.
constexpr std::int64_t kRows = 128;

template <typename T>
void forward(const Tensor& x, const Tensor& weight, const Tensor& bias, Activation activation, const Tensor& pre,
             const Tensor& y, std::int64_t rows, Precision precision) {
    const std::int64_t in = weight.shape()[1], out = weight.shape()[0];
    const T* biasData = bias.as<T>();
    T* target = activation == Activation::None ? y.as<T>() : pre.as<T>();
    parallelFor(rows, kRows, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t row = first; row < last; row += kRows) {
            const std::int64_t count = std::min(kRows, last - row);
            T* block = target + row * out;
            multiply({.m = count,
                      .n = out,
                      .k = in,
                      .transposeB = true,
                      .lda = in,
                      .ldb = in,
                      .ldc = out,
                      .precision = precision},
                     x.as<T>() + row * in, weight.as<T>(), block);
            for (std::int64_t i = 0; i < count; ++i)
                for (std::int64_t j = 0; j < out; ++j) block[i * out + j] += biasData[j];
            if (activation == Activation::Gelu) geluForward(block, y.as<T>() + row * out, count * out);
        }
    });
}

template <typename T>
void backward(const Variable& x, const Variable& weight, const Variable& bias, const Tensor& dy, const Tensor& pre,
              const Tensor& dPre, std::int64_t rows) {
    const std::int64_t in = weight.shape()[1], out = weight.shape()[0];
    const Precision precision = x.tape().precision();
    const bool activated = !pre.empty();
    const T* gradient = activated ? dPre.as<T>() : dy.as<T>();
    const bool needsX = x.needsGradient();
    const auto dx = needsX ? x.gradientSink() : Variable::Sink{};
    parallelFor(rows, kRows, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t row = first; row < last; row += kRows) {
            const std::int64_t count = std::min(kRows, last - row);
            if (activated)
                geluBackward(pre.as<T>() + row * out, dy.as<T>() + row * out, dPre.as<T>() + row * out, count * out);
            if (needsX)
                multiply({.m = count,
                          .n = in,
                          .k = out,
                          .lda = out,
                          .ldb = in,
                          .ldc = in,
                          .beta = dx.accumulate ? 1.0 : 0.0,
                          .precision = precision},
                         gradient + row * out, weight.value().as<T>(), dx.tensor.as<T>() + row * in);
        }
    });
    if (weight.needsGradient()) {
        const auto dw = weight.gradientSink();
        multiply({.m = out,
                  .n = in,
                  .k = rows,
                  .transposeA = true,
                  .lda = out,
                  .ldb = in,
                  .ldc = in,
                  .beta = dw.accumulate ? 1.0 : 0.0,
                  .precision = precision},
                 gradient, x.value().as<T>(), dw.tensor.as<T>());
    }
    if (bias.needsGradient()) {
        const auto db = bias.gradientSink();
        T* sums = db.tensor.as<T>();
        parallelFor(out, 16, [&](std::int64_t first, std::int64_t last) {
            if (!db.accumulate) std::fill(sums + first, sums + last, T(0));
            for (std::int64_t row = 0; row < rows; ++row)
                for (std::int64_t j = first; j < last; ++j) sums[j] += gradient[row * out + j];
        });
    }
}

}  // namespace

Variable linear(const Variable& x, const Variable& weight, const Variable& bias, Activation activation,
                Readers readers) {
    require(
        weight.shape().rank() == 2 && x.shape()[-1] == weight.shape()[1] && bias.shape() == Shape{weight.shape()[0]},
        "linear", "x [..., I], weight [O, I], bias [O], but got {}, {}, {}", x.shape().text(), weight.shape().text(),
        bias.shape().text());
    const std::int64_t rows = x.shape().product(0, x.shape().rank() - 1), out = weight.shape()[0];
    const Shape shape = x.shape().rank() == 3 ? Shape{x.shape()[0], x.shape()[1], out} : Shape{rows, out};
    if (x.value().onDevice()) return cuda::linear(x, weight, bias, activation, readers, shape);
    Tape& tape = x.tape();
    const Variable y = tape.result(shape, x.type(), x, weight, bias);
    const Tensor pre = activation == Activation::None ? Tensor{} : tape.arena().tensor(shape, x.type());
    dispatchReal(x.type(), [&](auto zero) {
        forward<decltype(zero)>(x.value(), weight.value(), bias.value(), activation, pre, y.value(), rows,
                                tape.precision());
    });
    tape.record(y, [=] {
        const Tensor dPre = pre.empty() ? Tensor{} : y.tape().arena().tensor(pre.shape(), pre.type());
        dispatchReal(x.type(),
                     [&](auto zero) { backward<decltype(zero)>(x, weight, bias, y.gradient(), pre, dPre, rows); });
    });
    return y;
}

Three linears(const Variable& x, const std::array<Layer, 3>& layers, const Shape& shape, Readers readers) {
    if (x.value().onDevice()) return cuda::linears(x, layers, shape, readers);
    Three results;
    for (std::size_t i = 0; i < results.size(); ++i)
        results[i] = reshape(linear(x, layers[i].weight, layers[i].bias, Activation::None, readers), shape);
    return results;
}

void gradientsSideBySide(const Variable& output, const Three& results) {
    if (!output.value().onDevice()) return;
    output.tape().record(output, [results] {
        for (const Variable& y : results)
            if (!y.needsGradient() || !y.state()->gradient.empty()) return;
        const Variable& first = results[0];
        if (first.value().bytes() % 16 != 0) return;  // so that each is aligned
        const Tensor all = first.tape().arena().tensor({3, first.value().elements()}, first.type());
        auto* at = static_cast<std::byte*>(all.raw());
        for (const Variable& y : results) {
            y.state()->gradient = Tensor(at, y.shape(), y.type(), Device::Cuda);
            at += y.value().bytes();
        }
    });
}

}  // namespace linscope
