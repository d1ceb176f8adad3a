#include "core/ops/elementwise.h"

#include <algorithm>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"

namespace linscope {
namespace {

constexpr std::int64_t kGrain = 4096;

/// out[i] = f(i), or += where the sink holds something already.
template <typename T, typename Function>
void write(const Variable::Sink& sink, Function&& function) {
    T* out = sink.tensor.as<T>();
    parallelFor(sink.tensor.elements(), kGrain, [&](std::int64_t first, std::int64_t last) {
        if (sink.accumulate)
            for (std::int64_t i = first; i < last; ++i) out[i] += function(i);
        else
            for (std::int64_t i = first; i < last; ++i) out[i] = function(i);
    });
}

/// y = f(x) element by element with dx = g(dy); indices are flat.
template <typename Forward, typename Backward>
Variable map(const Variable& x, const Shape& shape, Forward forward, Backward backward) {
    Tape& tape = x.tape();
    const Variable y = tape.result(shape, x.type(), x);
    dispatchReal(x.type(), [&](auto zero) {
        using T = decltype(zero);
        const T* in = x.value().as<T>();
        write<T>({y.value(), false}, [&](std::int64_t i) { return forward(in, i); });
    });
    tape.record(y, [=] {
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            const T* gradient = y.gradient().as<T>();
            write<T>(x.gradientSink(), [&](std::int64_t i) { return backward(gradient, i); });
        });
    });
    return y;
}

}  // namespace

Variable add(const Variable& a, const Variable& b) {
    require(a.shape() == b.shape(), "add", "two tensors of one shape, but got {} and {}", a.shape().text(),
            b.shape().text());
    if (a.value().onDevice()) return cuda::add(a, b);
    Tape& tape = a.tape();
    const Variable y = tape.result(a.shape(), a.type(), a, b);
    dispatchReal(a.type(), [&](auto zero) {
        using T = decltype(zero);
        const T *left = a.value().as<T>(), *right = b.value().as<T>();
        write<T>({y.value(), false}, [=](std::int64_t i) { return left[i] + right[i]; });
    });
    tape.record(y, [=] {
        dispatchReal(a.type(), [&](auto zero) {
            using T = decltype(zero);
            const T* gradient = y.gradient().as<T>();
            for (const Variable& input : {a, b})
                if (input.needsGradient()) write<T>(input.gradientSink(), [=](std::int64_t i) { return gradient[i]; });
        });
    });
    return y;
}

Variable scale(const Variable& x, double factor) {
    if (x.value().onDevice()) return cuda::scale(x, factor);
    const auto times = [factor](const auto* in, std::int64_t i) {
        return in[i] * static_cast<std::remove_cvref_t<decltype(*in)>>(factor);
    };
    return map(x, x.shape(), times, times);
}

Variable scaleRows(const Variable& x, std::span<const float> factors) {
    const std::int64_t width = x.shape()[-1];
    require(static_cast<std::int64_t>(factors.size()) * width == x.value().elements(), "scaleRows",
            "a factor for each of {} rows, but got {}", x.value().elements() / width, factors.size());
    if (x.value().onDevice()) return cuda::scaleRows(x, factors);
    const float* data = factors.data();
    const auto times = [data, width](const auto* in, std::int64_t i) {
        using T = std::remove_cvref_t<decltype(*in)>;
        const float factor = data[i / width];
        return factor == 0.0f ? T(0) : in[i] * static_cast<T>(factor);
    };
    return map(x, x.shape(), times, times);
}

Variable reshape(const Variable& x, const Shape& shape) {
    Tape& tape = x.tape();
    const Variable y = tape.make(x.value().reshaped(shape), x.needsGradient());
    tape.record(y, [=] {
        if (x.adoptGradient(y.gradient())) return;
        if (x.value().onDevice()) return cuda::addGradient(x, y);
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            const T* gradient = y.gradient().as<T>();
            write<T>(x.gradientSink(), [=](std::int64_t i) { return gradient[i]; });
        });
    });
    return y;
}

Variable swapMiddle(const Variable& x) {
    require(x.shape().rank() == 4, "swapMiddle", "four axes, but got {}", x.shape().text());
    const std::int64_t b = x.shape()[1], c = x.shape()[2], d = x.shape()[3];
    const auto from = [](std::int64_t outer, std::int64_t inner, std::int64_t depth) {
        // y [A, inner, outer, D]: the flat place in x [A, outer, inner, D] of y's place i.
        return [=](const auto* in, std::int64_t i) {
            const std::int64_t l = i % depth, k = i / depth % outer, j = i / (depth * outer) % inner;
            const std::int64_t a = i / (depth * outer * inner);
            return in[((a * outer + k) * inner + j) * depth + l];
        };
    };
    return map(x, {x.shape()[0], c, b, d}, from(b, c, d), from(c, b, d));
}

Variable stack(std::span<const Variable> parts) {
    require(!parts.empty() && parts[0].shape().rank() == 2, "stack", "at least one matrix, but got {} parts",
            parts.size());
    Tape& tape = parts[0].tape();
    const auto count = static_cast<std::int64_t>(parts.size());
    const std::int64_t size = parts[0].value().elements();
    auto* kept = static_cast<Variable*>(tape.arena().allocate(parts.size_bytes()));
    std::ranges::copy(parts, kept);
    bool needsGradient = false;
    for (const Variable& part : parts) {
        require(part.shape() == parts[0].shape(), "stack", "parts of shape {}, but got {}", parts[0].shape().text(),
                part.shape().text());
        needsGradient = needsGradient || part.needsGradient();
    }
    const Shape shape{count, parts[0].shape()[0], parts[0].shape()[1]};
    const Variable y = tape.make(tape.arena().tensor(shape, parts[0].type()), needsGradient);
    dispatchReal(y.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t i = 0; i < count; ++i)
            std::copy_n(kept[i].value().as<T>(), size, y.value().as<T>() + i * size);
    });
    tape.record(y, [=] {
        dispatchReal(y.type(), [&](auto zero) {
            using T = decltype(zero);
            for (std::int64_t i = 0; i < count; ++i) {
                const T* gradient = y.gradient().as<T>() + i * size;
                if (kept[i].needsGradient())
                    write<T>(kept[i].gradientSink(), [=](std::int64_t j) { return gradient[j]; });
            }
        });
    });
    return y;
}

Variable firstColumns(const Variable& x, std::int64_t count) {
    const std::int64_t width = x.shape()[-1];
    require(count <= width, "firstColumns", "at most {} columns, but got {}", width, count);
    if (count == width) return x;
    Shape shape = x.shape().rank() == 3 ? Shape{x.shape()[0], x.shape()[1], count} : Shape{x.shape()[0], count};
    return map(
        x, shape, [=](const auto* in, std::int64_t i) { return in[i / count * width + i % count]; },
        [=](const auto* gradient, std::int64_t i) {
            using T = std::remove_cvref_t<decltype(*gradient)>;
            return i % width < count ? gradient[i / width * count + i % width] : T(0);
        });
}

}  // namespace linscope
