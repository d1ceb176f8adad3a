#pragma once

#include "viz/heatmap/colour_map.h"

namespace linscope::viz {

/// Oklab (B. Ottosson, "A perceptual color space for image processing", 2020): lightness in [0,1],
/// a from green to red, b from blue to yellow. Distances are roughly perceived differences.
struct Oklab {
    double lightness = 0, a = 0, b = 0;
};
/// Linear-light sRGB; channels outside [0,1] are colours that a screen cannot show.
struct LinearRgb {
    double red = 0, green = 0, blue = 0;
};

LinearRgb toLinear(const Colour& colour);
Colour toColour(const LinearRgb& linear);  ///< channels are clipped to [0,1]
Oklab toOklab(const LinearRgb& linear);
LinearRgb toLinear(const Oklab& lab);
double distance(const Oklab& a, const Oklab& b);
bool inGamut(const LinearRgb& linear);

}  // namespace linscope::viz
