#include "viz/heatmap/oklab.h"

#include <algorithm>
#include <cmath>

namespace linscope::viz {
namespace {

double decode(double c) {
    return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
}

float encode(double c) {
    c = std::clamp(c, 0.0, 1.0);
    return float(c <= 0.0031308 ? 12.92 * c : 1.055 * std::pow(c, 1 / 2.4) - 0.055);
}

}  // namespace

LinearRgb toLinear(const Colour& colour) {
    return {decode(colour.red), decode(colour.green), decode(colour.blue)};
}

Colour toColour(const LinearRgb& linear) {
    return {encode(linear.red), encode(linear.green), encode(linear.blue)};
}

Oklab toOklab(const LinearRgb& c) {
    const double l = std::cbrt(0.4122214708 * c.red + 0.5363325363 * c.green + 0.0514459929 * c.blue);
    const double m = std::cbrt(0.2119034982 * c.red + 0.6806995451 * c.green + 0.1073969566 * c.blue);
    const double s = std::cbrt(0.0883024619 * c.red + 0.2817188376 * c.green + 0.6299787005 * c.blue);
    return {0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
            1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
            0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

LinearRgb toLinear(const Oklab& lab) {
    const double l = std::pow(lab.lightness + 0.3963377774 * lab.a + 0.2158037573 * lab.b, 3);
    const double m = std::pow(lab.lightness - 0.1055613458 * lab.a - 0.0638541728 * lab.b, 3);
    const double s = std::pow(lab.lightness - 0.0894841775 * lab.a - 1.2914855480 * lab.b, 3);
    return {4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
            -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
            -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s};
}

double distance(const Oklab& x, const Oklab& y) {
    return std::sqrt(std::pow(x.lightness - y.lightness, 2) + std::pow(x.a - y.a, 2) + std::pow(x.b - y.b, 2));
}

bool inGamut(const LinearRgb& c) {
    constexpr double slack = 1e-6;
    const auto inside = [](double value) { return value >= -slack && value <= 1 + slack; };
    return inside(c.red) && inside(c.green) && inside(c.blue);
}

}  // namespace linscope::viz
