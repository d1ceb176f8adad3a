#include "core/attention/gated_delta/key_gates.h"

#include <Eigen/Core>
#include <cmath>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/pointwise.h"

namespace linscope {
namespace {

template <typename T>
using Row = Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>>;
template <typename T>
using ConstRow = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, 1>>;

template <typename T>
T sigmoid(T x) {
    // Neither branch has an exponential that overflows.
    return x >= T(0) ? T(1) / (T(1) + std::exp(-x)) : std::exp(x) / (T(1) + std::exp(x));
}

/// Sums over all tokens, each head one thread's: dw_h = Σ dx·k, db_h = Σ dx.
template <typename T>
void parameterGradients(std::int64_t tokens, std::int64_t heads, std::int64_t width, const T* dx, const T* k,
                        const Variable& weight, const Variable& bias) {
    const bool forWeight = weight.needsGradient(), forBias = bias.needsGradient();
    const auto dw = forWeight ? weight.gradientSink() : Variable::Sink{};
    const auto db = forBias ? bias.gradientSink() : Variable::Sink{};
    parallelFor(heads, 1, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t h = first; h < last; ++h) {
            if (forWeight) {
                Row<T> out(dw.tensor.as<T>() + h * width, width);
                if (!dw.accumulate) out.setZero();
                for (std::int64_t i = 0; i < tokens; ++i)
                    out += dx[i * heads + h] * ConstRow<T>(k + (i * heads + h) * width, width);
            }
            if (forBias) {
                double sum = db.accumulate ? static_cast<double>(db.tensor.as<T>()[h]) : 0.0;
                for (std::int64_t i = 0; i < tokens; ++i) sum += static_cast<double>(dx[i * heads + h]);
                db.tensor.as<T>()[h] = static_cast<T>(sum);
            }
        }
    });
}

}  // namespace

Variable keyGate(const Variable& k, const Variable& weight, const Variable& bias) {
    const Shape& s = k.shape();
    require(s.rank() == 4 && weight.shape() == Shape{s[2], s[3]} && bias.shape() == Shape{s[2]}, "key gate",
            "k [B,T,H,D], a weight [H,D] and a bias [H], but got {}, {}, {}", s.text(), weight.shape().text(),
            bias.shape().text());
    if (k.value().onDevice()) return cuda::keyGate(k, weight, bias);
    const std::int64_t tokens = s[0] * s[1], heads = s[2], width = s[3];
    Tape& tape = k.tape();
    const Variable x = tape.result({s[0], s[1], heads}, k.type(), k, weight, bias);
    dispatchReal(k.type(), [&](auto zero) {
        using T = decltype(zero);
        parallelFor(tokens, 64, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t i = first * heads; i < last * heads; ++i)
                x.value().as<T>()[i] = ConstRow<T>(k.value().as<T>() + i * width, width)
                                           .dot(ConstRow<T>(weight.value().as<T>() + i % heads * width, width)) +
                                       bias.value().as<T>()[i % heads];
        });
    });
    tape.record(x, [=] {
        dispatchReal(k.type(), [&](auto zero) {
            using T = decltype(zero);
            const T* dx = x.gradient().as<T>();
            if (k.needsGradient()) {
                const Variable::Sink dk = k.gradientSink();
                parallelFor(tokens, 64, [&](std::int64_t first, std::int64_t last) {
                    for (std::int64_t i = first * heads; i < last * heads; ++i) {
                        Row<T> out(dk.tensor.as<T>() + i * width, width);
                        const ConstRow<T> w(weight.value().as<T>() + i % heads * width, width);
                        if (dk.accumulate)
                            out += dx[i] * w;
                        else
                            out = dx[i] * w;
                    }
                });
            }
            parameterGradients<T>(tokens, heads, width, dx, k.value().as<T>(), weight, bias);
        });
    });
    return x;
}

Variable plainKeyGate(const Variable& k, const Variable& weight, const Variable& bias) {
    const Shape& s = k.shape();
    Tensor ones = k.tape().arena().tensor({s[0], s[2], 1, s[1]}, k.type());
    dispatchReal(k.type(), [&](auto zero) {
        for (auto& one : ones.span<decltype(zero)>()) one = 1;
    });
    const Variable products =
        matmul(reshape(weight, {s[2], 1, s[3]}), swapMiddle(k), {.transposeB = true});  // [B,H,1,T]
    const Variable biases = matmul(reshape(bias, {s[2], 1, 1}), k.tape().constant(ones));
    const Variable x = swapMiddle(reshape(add(products, biases), {s[0], s[2], s[1], 1}));  // [B,T,H,1]
    return reshape(x, {s[0], s[1], s[2]});
}

Variable writingStrength(const Variable& x, double most) {
    if (x.value().onDevice()) return cuda::writingStrength(x, most);
    return pointwise(
        x, [=](auto v) { return static_cast<decltype(v)>(most) * sigmoid(v); },
        [=](auto v, auto y) { return y * sigmoid(-v); });
}

Variable logForgetting(const Variable& x) {
    if (x.value().onDevice()) return cuda::logForgetting(x);
    return pointwise(
        x,
        [](auto v) {
            using T = decltype(v);
            return std::min(v, T(0)) - std::log1p(std::exp(-std::abs(v)));
        },
        [](auto v, auto) { return sigmoid(-v); });
}

}  // namespace linscope
