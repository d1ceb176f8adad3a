#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/ops/pointwise.h"

namespace linscope {
namespace {

template <typename T>
void put(T& out, T value, bool add) {
    out = add ? out + value : value;
}

/// How often the constant c is repeated over x.
std::int64_t repeats(const Variable& x, const Tensor& c) {
    const int extra = x.shape().rank() - c.shape().rank();
    bool fits = extra >= 0;
    for (int axis = 0; fits && axis < c.shape().rank(); ++axis) fits = c.shape()[axis] == x.shape()[extra + axis];
    require(fits && c.type() == x.type(), "pointwise", "a constant with the last axes of {}, but got {}",
            x.shape().text(), c.shape().text());
    return x.shape().product(0, extra);
}

/// Copies [A,count,R] between a part and places [begin, begin+count) of a whole [A,B,R].
template <typename T>
void copyPart(T* part, T* whole, std::int64_t a, std::int64_t b, std::int64_t begin, std::int64_t count,
              std::int64_t rest, bool toWhole, bool add) {
    for (std::int64_t i = 0; i < a; ++i) {
        T* one = part + i * count * rest;
        T* other = whole + (i * b + begin) * rest;
        const T* from = toWhole ? one : other;
        T* to = toWhole ? other : one;
        for (std::int64_t j = 0; j < count * rest; ++j) put(to[j], from[j], add);
    }
}

}  // namespace

Variable multiply(const Variable& a, const Variable& b) {
    require(a.shape() == b.shape(), "multiply", "two of one shape, but got {} and {}", a.shape().text(),
            b.shape().text());
    Tape& tape = a.tape();
    const Variable y = tape.result(a.shape(), a.type(), a, b);
    const std::int64_t count = y.value().elements();
    dispatchReal(a.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t i = 0; i < count; ++i) y.value().as<T>()[i] = a.value().as<T>()[i] * b.value().as<T>()[i];
    });
    tape.record(y, [=] {
        dispatchReal(a.type(), [&](auto zero) {
            using T = decltype(zero);
            for (const auto& [to, other] : {std::pair{a, b}, std::pair{b, a}}) {
                if (!to.needsGradient()) continue;
                const Variable::Sink sink = to.gradientSink();
                const T *dy = y.gradient().as<T>(), *factor = Variable(other).value().template as<T>();
                for (std::int64_t i = 0; i < count; ++i)
                    put(sink.tensor.as<T>()[i], dy[i] * factor[i], sink.accumulate);
            }
        });
    });
    return y;
}

Variable addConstant(const Variable& x, const Tensor& c) {
    const std::int64_t times = repeats(x, c), size = c.elements();
    Tape& tape = x.tape();
    const Variable y = tape.result(x.shape(), x.type(), x);
    dispatchReal(x.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t r = 0; r < times; ++r)
            for (std::int64_t i = 0; i < size; ++i)
                y.value().as<T>()[r * size + i] = x.value().as<T>()[r * size + i] + c.as<T>()[i];
    });
    tape.record(y, [=] {
        const Variable::Sink sink = x.gradientSink();
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            for (std::int64_t i = 0; i < times * size; ++i)
                put(sink.tensor.as<T>()[i], y.gradient().as<T>()[i], sink.accumulate);
        });
    });
    return y;
}

Variable multiplyConstant(const Variable& x, const Tensor& c) {
    const std::int64_t times = repeats(x, c), size = c.elements();
    Tape& tape = x.tape();
    const Variable y = tape.result(x.shape(), x.type(), x);
    dispatchReal(x.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t r = 0; r < times; ++r)
            for (std::int64_t i = 0; i < size; ++i) {
                const T factor = c.as<T>()[i];
                y.value().as<T>()[r * size + i] = factor == T(0) ? T(0) : x.value().as<T>()[r * size + i] * factor;
            }
    });
    tape.record(y, [=] {
        const Variable::Sink sink = x.gradientSink();
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            for (std::int64_t r = 0; r < times; ++r)
                for (std::int64_t i = 0; i < size; ++i) {
                    const T factor = c.as<T>()[i];
                    put(sink.tensor.as<T>()[r * size + i],
                        factor == T(0) ? T(0) : y.gradient().as<T>()[r * size + i] * factor, sink.accumulate);
                }
        });
    });
    return y;
}

Variable sumLast(const Variable& x) {
    const int last = x.shape().rank() - 1;
    const std::int64_t width = x.shape()[last], rows = x.value().elements() / std::max<std::int64_t>(width, 1);
    Tape& tape = x.tape();
    const Variable y = tape.result(x.shape().with(last, 1), x.type(), x);
    dispatchReal(x.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t r = 0; r < rows; ++r) {
            T sum = 0;
            for (std::int64_t c = 0; c < width; ++c) sum += x.value().as<T>()[r * width + c];
            y.value().as<T>()[r] = sum;
        }
    });
    tape.record(y, [=] {
        const Variable::Sink sink = x.gradientSink();
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            for (std::int64_t r = 0; r < rows; ++r)
                for (std::int64_t c = 0; c < width; ++c)
                    put(sink.tensor.as<T>()[r * width + c], y.gradient().as<T>()[r], sink.accumulate);
        });
    });
    return y;
}

Variable multiplyRows(const Variable& x, const Variable& factors) {
    const int last = x.shape().rank() - 1;
    const std::int64_t width = x.shape()[last], rows = x.value().elements() / std::max<std::int64_t>(width, 1);
    require(factors.shape() == x.shape().with(last, 1), "multiplyRows", "factors [...,1] for {}, but got {}",
            x.shape().text(), factors.shape().text());
    Tape& tape = x.tape();
    const Variable y = tape.result(x.shape(), x.type(), x, factors);
    dispatchReal(x.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t r = 0; r < rows; ++r)
            for (std::int64_t c = 0; c < width; ++c)
                y.value().as<T>()[r * width + c] = x.value().as<T>()[r * width + c] * factors.value().as<T>()[r];
    });
    tape.record(y, [=] {
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            const T* dy = y.gradient().as<T>();
            if (x.needsGradient()) {
                const Variable::Sink sink = x.gradientSink();
                for (std::int64_t i = 0; i < rows * width; ++i)
                    put(sink.tensor.as<T>()[i], dy[i] * factors.value().as<T>()[i / width], sink.accumulate);
            }
            if (factors.needsGradient()) {
                const Variable::Sink sink = factors.gradientSink();
                for (std::int64_t r = 0; r < rows; ++r) {
                    T sum = 0;
                    for (std::int64_t c = 0; c < width; ++c)
                        sum += dy[r * width + c] * x.value().as<T>()[r * width + c];
                    put(sink.tensor.as<T>()[r], sum, sink.accumulate);
                }
            }
        });
    });
    return y;
}

Variable slice(const Variable& x, std::int64_t begin, std::int64_t count) {
    const Shape& s = x.shape();
    require(s.rank() >= 2 && begin >= 0 && count >= 1 && begin + count <= s[1], "slice",
            "places {} to {} within axis 1 of {}", begin, begin + count, s.text());
    if (x.value().onDevice()) return cuda::slice(x, begin, count);
    const std::int64_t a = s[0], b = s[1], rest = s.product(2, s.rank());
    Tape& tape = x.tape();
    const Variable y = tape.result(s.with(1, count), x.type(), x);
    dispatchReal(x.type(), [&](auto zero) {
        using T = decltype(zero);
        copyPart<T>(y.value().as<T>(), x.value().as<T>(), a, b, begin, count, rest, false, false);
    });
    tape.record(y, [=] {
        const Variable::Sink sink = x.gradientSink();
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            if (!sink.accumulate) std::fill_n(sink.tensor.as<T>(), sink.tensor.elements(), T(0));
            copyPart<T>(y.gradient().template as<T>(), sink.tensor.as<T>(), a, b, begin, count, rest, true, true);
        });
    });
    return y;
}

Variable concatenate(std::span<const Variable> parts) {
    require(!parts.empty(), "concatenate", "at least one part, but got none");
    const Shape& s = parts[0].shape();
    std::int64_t total = 0;
    for (const Variable& part : parts) {
        require(part.shape().with(1, s[1]) == s, "concatenate", "parts that differ in axis 1 alone, {} and {}",
                s.text(), part.shape().text());
        total += part.shape()[1];
    }
    if (parts[0].value().onDevice()) return cuda::concatenate(parts, s.with(1, total));
    Tape& tape = parts[0].tape();
    bool needed = false;
    for (const Variable& part : parts) needed = needed || part.needsGradient();
    const std::int64_t a = s[0], rest = s.product(2, s.rank());
    const Variable y = tape.make(tape.arena().tensor(s.with(1, total), parts[0].type()), needed);
    std::int64_t begin = 0;
    for (const Variable& part : parts) {
        const std::int64_t count = part.shape()[1];
        dispatchReal(y.type(), [&](auto zero) {
            using T = decltype(zero);
            copyPart<T>(part.value().as<T>(), y.value().as<T>(), a, total, begin, count, rest, true, false);
        });
        if (part.needsGradient())
            tape.record(y, [=] {
                const Variable::Sink sink = part.gradientSink();
                dispatchReal(y.type(), [&](auto zero) {
                    using T = decltype(zero);
                    copyPart<T>(sink.tensor.as<T>(), y.gradient().template as<T>(), a, total, begin, count, rest, false,
                                sink.accumulate);
                });
            });
        begin += count;
    }
    return y;
}

}  // namespace linscope
