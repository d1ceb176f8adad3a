#include "viz/heatmap/value_scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/base/error.h"

namespace linscope::viz {
namespace {

constexpr std::array<std::string_view, 4> kNames{"linear", "log", "diverging", "arcsinh"};

double bound(const ValueScale& scale) {
    return std::max(std::abs(scale.lo), std::abs(scale.hi));
}

double width(const ValueScale& scale) {
    return scale.linearWidth > 0 ? scale.linearWidth : bound(scale) / 100;
}

// About `count` powers of ten (with 2 and 5 between where they are few) within [lo, hi], lo > 0.
std::vector<double> logTicks(double lo, double hi, int count) {
    const int first = int(std::floor(std::log10(lo))), last = int(std::ceil(std::log10(hi)));
    const int step = std::max(1, (last - first + count - 1) / std::max(count, 1));
    std::vector<double> ticks;
    const bool between = last - first <= 2;
    for (int power = first; power <= last; power += step)
        for (const double digit : {1.0, 2.0, 5.0}) {
            const double value = digit * std::pow(10.0, power);
            if (value >= lo * (1 - 1e-6) && value <= hi * (1 + 1e-6) && (digit == 1 || between)) ticks.push_back(value);
        }
    return ticks;
}

// 0 and the decades on either side of it that the scale shows apart.
std::vector<double> arcsinhTicks(const ValueScale& scale, int count) {
    std::vector<double> ticks;
    const double largest = bound(scale);
    const int top = int(std::floor(std::log10(largest)));
    const int bottom = int(std::ceil(std::log10(width(scale))));
    const int step = std::max(1, (top - bottom + 1) * (scale.lo < 0 ? 2 : 1) / std::max(count, 1));
    if (scale.lo <= 0 && scale.hi >= 0) ticks.push_back(0);
    for (int power = top; power >= bottom; power -= step)
        for (const double sign : {-1.0, 1.0}) {
            const double value = sign * std::pow(10.0, power);
            if (value >= scale.lo && value <= scale.hi) ticks.push_back(value);
        }
    std::sort(ticks.begin(), ticks.end());
    return ticks;
}

}  // namespace

std::string_view scaleName(ScaleKind kind) {
    return kNames[std::size_t(kind)];
}

ScaleKind scaleKind(std::string_view name) {
    const auto found = std::find(kNames.begin(), kNames.end(), name);
    require(found != kNames.end(), "scale", "one of {} is required, but '{}' was given", fmt::join(kNames, ", "), name);
    return ScaleKind(found - kNames.begin());
}

ValueScale ValueScale::usable() const {
    ValueScale result = *this;
    if (!std::isfinite(lo)) result.lo = 0;
    if (!std::isfinite(hi)) result.hi = 1;
    if (kind == ScaleKind::Log) {
        if (result.hi <= 0) return {kind, 1e-6f, 1, linearWidth};
        if (result.lo <= 0) result.lo = std::max(result.hi * 1e-6f, std::numeric_limits<float>::min());
        if (!(result.lo < result.hi)) result = {kind, result.hi / 2, result.hi * 2, linearWidth};
    } else if (kind == ScaleKind::Diverging) {
        const double largest = bound(result);
        result.hi = largest > 0 ? float(largest) : 1;
        result.lo = -result.hi;
    } else if (!(result.lo < result.hi)) {
        const float half = std::max(std::abs(result.lo) / 2, 1e-6f);
        result = {kind, result.lo - half, result.lo + half, linearWidth};
    }
    return result;
}

float ValueScale::position(float v) const {
    const ValueScale s = usable();
    const double value = v;
    switch (s.kind) {
        case ScaleKind::Linear:
            return float((value - s.lo) / (double(s.hi) - s.lo));
        case ScaleKind::Log:
            if (value <= 0) return -std::numeric_limits<float>::infinity();
            return float(std::log(value / s.lo) / std::log(double(s.hi) / s.lo));
        case ScaleKind::Diverging:
            return float(0.5 + 0.5 * value / s.hi);
        case ScaleKind::Arcsinh:
            break;
    }
    const double w = width(s), lowest = std::asinh(s.lo / w), highest = std::asinh(s.hi / w);
    return float((std::asinh(value / w) - lowest) / (highest - lowest));
}

float ValueScale::value(float t) const {
    const ValueScale s = usable();
    switch (s.kind) {
        case ScaleKind::Linear:
            return float(s.lo + t * (double(s.hi) - s.lo));
        case ScaleKind::Log:
            return float(s.lo * std::pow(double(s.hi) / s.lo, t));
        case ScaleKind::Diverging:
            return float((2.0 * t - 1) * s.hi);
        case ScaleKind::Arcsinh:
            break;
    }
    const double w = width(s), lowest = std::asinh(s.lo / w), highest = std::asinh(s.hi / w);
    return float(w * std::sinh(lowest + t * (highest - lowest)));
}

std::vector<double> niceTicks(double lo, double hi, int count) {
    if (!(lo < hi) || count < 1) return {lo};
    const double rough = (hi - lo) / count;
    const double power = std::pow(10.0, std::floor(std::log10(rough)));
    double step = 10 * power;
    for (const double digit : {5.0, 2.0, 1.0})
        if (digit * power >= rough * 0.75) step = digit * power;
    std::vector<double> ticks;
    const double first = std::ceil(lo / step - 1e-9), last = std::floor(hi / step + 1e-9);
    // Counting multiples of the step keeps 0 exactly 0; adding it turns −0 into 0.
    for (double i = first; i <= last; ++i) ticks.push_back(i * step + 0.0);
    return ticks;
}

std::vector<double> scaleTicks(const ValueScale& scale, int count) {
    const ValueScale s = scale.usable();
    std::vector<double> ticks;
    if (s.kind == ScaleKind::Log) ticks = logTicks(s.lo, s.hi, count);
    if (s.kind == ScaleKind::Arcsinh) ticks = arcsinhTicks(s, count);
    return ticks.size() >= 2 ? ticks : niceTicks(s.lo, s.hi, count);
}

std::string tickText(double value) {
    if (value == 0) return "0";
    const double magnitude = std::abs(value);
    std::string text;
    if (magnitude >= 0.999e-3 && magnitude < 1e6) {
        text = fmt::format("{:.6g}", magnitude);
    } else {
        const int power = int(std::floor(std::log10(magnitude) + 1e-9));
        text = fmt::format("{:.3g}e{}", magnitude / std::pow(10.0, power), power);
        if (const auto minus = text.find("e-"); minus != std::string::npos) text.replace(minus, 2, "e−");
    }
    return value < 0 ? "−" + text : text;
}

}  // namespace linscope::viz
