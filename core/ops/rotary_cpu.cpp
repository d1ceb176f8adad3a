#include "core/ops/rotary.h"

#include <cmath>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"

namespace linscope {
namespace {

/// The angle by which the pair turns from one place to the next.
double frequencyOf(std::int64_t pair, std::int64_t width) {
    return std::pow(10000.0, -2.0 * static_cast<double>(pair) / static_cast<double>(width));
}

/// out (+)= x turned, of one token.
template <typename T>
void turn(const T* x, T* out, const T* cosine, const T* sine, std::int64_t width, bool add) {
    const std::int64_t half = width / 2;
    for (std::int64_t c = 0; c < half; ++c) {
        const T a = x[c], b = x[c + half];
        const T first = a * cosine[c] - b * sine[c], second = a * sine[c] + b * cosine[c];
        out[c] = add ? out[c] + first : first;
        out[c + half] = add ? out[c + half] + second : second;
    }
    if (width % 2 == 1) out[width - 1] = add ? out[width - 1] + x[width - 1] : x[width - 1];
}

template <typename T>
void turnAll(const Tensor& x, const Tensor& out, bool add, const Tensor& cosine, const Tensor& sine) {
    const Shape& s = x.shape();
    const std::int64_t length = s[1], heads = s[2], width = s[3], half = width / 2;
    parallelFor(s[0] * length, 64, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) {
            const std::int64_t t = i % length;
            for (std::int64_t h = 0; h < heads; ++h) {
                const std::int64_t at = (i * heads + h) * width;
                turn(x.as<T>() + at, out.as<T>() + at, cosine.as<T>() + t * half, sine.as<T>() + t * half, width, add);
            }
        }
    });
}

}  // namespace

Variable rotary(const Variable& x, bool inverse) {
    require(x.shape().rank() == 4, "rotary", "x [B,T,H,D], but got {}", x.shape().text());
    if (x.value().onDevice()) return cuda::rotary(x, inverse);
    const std::int64_t length = x.shape()[1], width = x.shape()[3], half = width / 2;
    Tape& tape = x.tape();
    const Shape table{length, std::max<std::int64_t>(half, 1)};
    const Tensor cosine = tape.arena().tensor(table, x.type()), sine = tape.arena().tensor(table, x.type()),
                 back = tape.arena().tensor(table, x.type());
    const Variable y = tape.result(x.shape(), x.type(), x);
    dispatchReal(x.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t t = 0; t < length; ++t)
            for (std::int64_t c = 0; c < half; ++c) {
                const double angle = static_cast<double>(t) * frequencyOf(c, width) * (inverse ? -1 : 1);
                cosine.as<T>()[t * half + c] = static_cast<T>(std::cos(angle));
                sine.as<T>()[t * half + c] = static_cast<T>(std::sin(angle));
                back.as<T>()[t * half + c] = static_cast<T>(-std::sin(angle));
            }
        turnAll<T>(x.value(), y.value(), false, cosine, sine);
    });
    tape.record(y, [=] {
        const Variable::Sink sink = x.gradientSink();
        dispatchReal(x.type(), [&](auto zero) {
            turnAll<decltype(zero)>(y.gradient(), sink.tensor, sink.accumulate, cosine, back);
        });
    });
    return y;
}

void rotateTokens(std::span<float> x, std::int64_t heads, std::int64_t width, std::int64_t position) {
    const std::int64_t half = width / 2, row = heads * width;
    // Pair by pair: an angle's frequency is the dearest part of it.
    parallelFor(static_cast<std::int64_t>(x.size()) / row, 64, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t c = 0; c < half; ++c) {
            const double frequency = frequencyOf(c, width);
            for (std::int64_t t = first; t < last; ++t) {
                const double angle = static_cast<double>(position + t) * frequency;
                const auto cosine = static_cast<float>(std::cos(angle)), sine = static_cast<float>(std::sin(angle));
                for (float* pair = x.data() + t * row + c; pair < x.data() + (t + 1) * row; pair += width) {
                    const float a = pair[0], b = pair[half];
                    pair[0] = a * cosine - b * sine;
                    pair[half] = a * sine + b * cosine;
                }
            }
        }
    });
}

}  // namespace linscope
