#pragma once

#include <Eigen/Core>
#include <cstdint>

namespace linscope {

// GELU in its tanh form: ½x(1 + tanh(√(2/π)(x + 0.044715x³))) (Hendrycks & Gimpel 2016, §2).
inline constexpr double kGeluScale = 0.7978845608028654;
inline constexpr double kGeluCubic = 0.044715;

template <typename T>
void geluForward(const T* x, T* y, std::int64_t count) {
    const Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>> in(x, count);
    Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>> out(y, count);
    out = T(0.5) * in * (T(1) + (T(kGeluScale) * in * (T(1) + T(kGeluCubic) * in.square())).tanh());
}

/// dx = gelu′(x)·dy
template <typename T>
void geluBackward(const T* x, const T* dy, T* dx, std::int64_t count) {
    constexpr std::int64_t kChunk = 256;  // the tanh is used twice: kept on the stack, chunk by chunk
    Eigen::Array<T, Eigen::Dynamic, 1, 0, kChunk, 1> tanh;
    for (std::int64_t i = 0; i < count; i += kChunk) {
        const std::int64_t n = std::min(kChunk, count - i);
        const Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>> in(x + i, n), gradient(dy + i, n);
        Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>> out(dx + i, n);
        tanh = (T(kGeluScale) * in * (T(1) + T(kGeluCubic) * in.square())).tanh();
        out =
            gradient * T(0.5) *
            ((T(1) + tanh) + in * (T(1) - tanh.square()) * T(kGeluScale) * (T(1) + T(3) * T(kGeluCubic) * in.square()));
    }
}

}  // namespace linscope
