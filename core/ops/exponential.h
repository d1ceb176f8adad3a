#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace linscope {

inline constexpr double kLog2e = 1.4426950408889634;  // eˣ = 2^(x·log₂ e)

/// 2ˣ for x < 128, written so that a loop over it becomes one over vectors: x = n + r with |r| ≤ ½, and 2^r by a
/// polynomial of least greatest relative error (9e-8; with the rounding, that of 2ˣ is below 2e-7). Where 2ˣ is no
/// normal number, −∞ included, it is 0; NaN stays NaN.
inline float exp2Of(float x) {
    // 1.5·2²³ rounds what is added to it to an integer in its last bits; with the bias, those of 2ⁿ's exponent.
    constexpr float kRound = 12582912 + 127;
    const float shifted = x + kRound, r = x - (shifted - kRound);
    float y = 1.326472731e-3f;
    y = y * r + 9.671512991e-3f;
    y = y * r + 5.550733581e-2f;
    y = y * r + 2.402224243e-1f;
    y = y * r + 6.931470037e-1f;
    y = y * r + 1.0f;
    const float power = std::bit_cast<float>(std::bit_cast<std::uint32_t>(shifted) << 23);
    return x < -126.0f ? 0.0f : y * power;
}

inline double exp2Of(double x) {
    return std::exp2(x);
}

}  // namespace linscope
