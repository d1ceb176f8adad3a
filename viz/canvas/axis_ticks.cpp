#include "viz/canvas/axis_ticks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace linscope::viz {

std::int64_t tickStep(double pixelsPerCell, double apart) {
    const double wanted = apart / std::max(pixelsPerCell, 1e-9);
    for (std::int64_t decade = 1; decade < 1'000'000'000'000; decade *= 10)
        for (const std::int64_t factor : {1, 2, 5})
            if (static_cast<double>(decade * factor) >= wanted) return decade * factor;
    return 1'000'000'000'000;
}

std::vector<std::int64_t> ticks(std::int64_t first, std::int64_t last, std::int64_t step) {
    std::vector<std::int64_t> found;
    for (std::int64_t tick = (first + step - 1) / step * step; tick <= last; tick += step) found.push_back(tick);
    return found;
}

std::string numberText(double value, int digits) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "−Inf";
    const double size = std::abs(value);
    std::string text;
    if (size != 0 && (size < 1e-4 || size >= 1e6)) {
        text = fmt::format("{:.{}e}", value, std::max(0, digits - 1));
    } else {
        text = fmt::format("{:.{}g}", value, digits);
        // {:g} turns 1234 with three digits into 1.23e+03.
        if (text.find('e') != std::string::npos)
            text = size >= 1 ? fmt::format("{:.0f}", value) : fmt::format("{:.{}f}", value, digits + 4);
    }
    std::string real;
    for (const char letter : text) {
        if (letter == '-')
            real += "−";
        else
            real += letter;
    }
    return real;
}

std::optional<float> placeInCell(double middle, double cell, float text, float plot) {
    if (text > cell || text > plot) return std::nullopt;
    const double place = std::clamp<double>(middle, text / 2, plot - text / 2);
    if (std::abs(place - middle) > (cell - text) / 2) return std::nullopt;
    return static_cast<float>(place);
}

}  // namespace linscope::viz
