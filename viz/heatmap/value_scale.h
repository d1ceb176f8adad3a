#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace linscope::viz {

enum class ScaleKind {
    Linear,     ///< t = (v − lo)/(hi − lo)
    Log,        ///< t = ln(v/lo)/ln(hi/lo); v ≤ 0 is below the range
    Diverging,  ///< t = (1 + v/b)/2 with b = max(|lo|, |hi|): 0 is always the middle
    Arcsinh,  ///< t = (s(v) − s(lo))/(s(hi) − s(lo)) with s(v) = asinh(v/w), linear near 0, logarithmic far from it
};
std::string_view scaleName(ScaleKind kind);  ///< "linear", "log", "diverging", "arcsinh"
/// Throws Error for an unknown name.
ScaleKind scaleKind(std::string_view name);

/// How values become positions on a colour map. Positions below 0 and above 1 take the end colours.
struct ValueScale {
    ScaleKind kind = ScaleKind::Linear;
    float lo = 0, hi = 1;
    float linearWidth = 0;  ///< w of Arcsinh; 0: max(|lo|, |hi|)/100

    /// The same scale with lo < hi and, for Log, lo > 0: what is drawn when a range is degenerate
    /// (a constant matrix) or unfit for its kind.
    ValueScale usable() const;
    /// Position of `value`, not clipped; NaN for NaN, ±∞ for values that Log has no position for.
    float position(float value) const;
    /// The value at position t: the inverse of position().
    float value(float t) const;
};

/// Round numbers within the scale for an axis or a colour bar: about `count` of them, ascending.
std::vector<double> scaleTicks(const ValueScale& scale, int count);
/// Multiples of 1, 2 or 5 times a power of ten within [lo, hi], about `count` of them, ascending.
std::vector<double> niceTicks(double lo, double hi, int count);
/// A tick's number as short as it can be: "0.002", "1.5e-6", "−0.4" (with a true minus sign).
std::string tickText(double value);

}  // namespace linscope::viz
