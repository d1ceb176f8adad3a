#pragma once

#include <cstdint>
#include <span>

#include "core/autograd/tape.h"
#include "core/autograd/variable.h"

namespace linscope {

/// y = value(x) by element, dy/dx = slope(x, y): the plain operation that naive definitions are made of.
/// Both are called as T f(T…) with T float or double.
template <typename Value, typename Slope>
Variable pointwise(const Variable& x, Value value, Slope slope) {
    Tape& tape = x.tape();
    const Variable y = tape.result(x.shape(), x.type(), x);
    const std::int64_t count = x.value().elements();
    dispatchReal(x.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t i = 0; i < count; ++i) y.value().as<T>()[i] = value(x.value().as<T>()[i]);
    });
    tape.record(y, [=] {
        const Variable::Sink sink = x.gradientSink();
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            for (std::int64_t i = 0; i < count; ++i) {
                const T dx = y.gradient().as<T>()[i] * slope(x.value().as<T>()[i], y.value().as<T>()[i]);
                T& out = sink.tensor.as<T>()[i];
                out = sink.accumulate ? out + dx : dx;
            }
        });
    });
    return y;
}

/// a∘b, of one shape.
Variable multiply(const Variable& a, const Variable& b);

/// x + c and x∘c with constants c that have the last axes of x and serve all the others. x∘c is 0 where c is 0,
/// whatever x holds. c must outlive the tape.
Variable addConstant(const Variable& x, const Tensor& c);
Variable multiplyConstant(const Variable& x, const Tensor& c);

/// Sums over the last axis. x [..., C] → [..., 1]
Variable sumLast(const Variable& x);

/// Each row of x times its own factor. x [..., C], factors [..., 1] → [..., C]
Variable multiplyRows(const Variable& x, const Variable& factors);

/// Entries [begin, begin + count) of axis 1. x [A,B,...] → [A,count,...]
Variable slice(const Variable& x, std::int64_t begin, std::int64_t count);

/// Parts behind one another along axis 1; other axes agree. [A,Bᵢ,...] → [A,ΣBᵢ,...]
Variable concatenate(std::span<const Variable> parts);

// The same on a CUDA device; the last two of the functions above come here with tensors of one, checked.
namespace cuda {
Variable slice(const Variable& x, std::int64_t begin, std::int64_t count);
/// `shape` is the result's.
Variable concatenate(std::span<const Variable> parts, const Shape& shape);
}  // namespace cuda

}  // namespace linscope
