#include "viz/heatmap/colour_map.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "core/base/error.h"
#include "viz/heatmap/oklab.h"

namespace linscope::viz {
namespace {

using Path = std::function<Oklab(double)>;

Oklab fromHue(double lightness, double chroma, double hueDegrees) {
    const double hue = hueDegrees * std::numbers::pi / 180;
    return {lightness, chroma * std::cos(hue), chroma * std::sin(hue)};
}

// `count` points at equal distances along the path from 0 to 1.
std::vector<Oklab> equalSteps(const Path& path, int count) {
    constexpr int kFine = 8192;
    std::vector<double> length(kFine + 1, 0.0);
    Oklab previous = path(0);
    for (int i = 1; i <= kFine; ++i) {
        const Oklab here = path(double(i) / kFine);
        length[i] = length[i - 1] + distance(previous, here);
        previous = here;
    }
    std::vector<Oklab> result;
    int i = 0;
    for (int k = 0; k < count; ++k) {
        const double wanted = length[kFine] * k / (count - 1);
        while (i + 1 < kFine && length[i + 1] < wanted) ++i;
        const double share = (wanted - length[i]) / std::max(length[i + 1] - length[i], 1e-12);
        result.push_back(path((i + share) / kFine));
    }
    return result;
}

ColourMap sequential(std::string name, std::string title, const Path& path) {
    std::array<Colour, ColourMap::kEntries> entries;
    const auto steps = equalSteps(path, ColourMap::kEntries);
    for (int i = 0; i < ColourMap::kEntries; ++i) entries[i] = toColour(toLinear(steps[i]));
    return {std::move(name), std::move(title), false, entries};
}

// Two arms of one lightness and chroma and of constant hue, from the middle outward: mirror images but for the hue.
ColourMap diverging(std::string name, std::string title, double middleLightness, double endLightness, double endChroma,
                    double lowHue, double highHue) {
    constexpr int half = ColourMap::kEntries / 2;
    std::array<Colour, ColourMap::kEntries> entries;
    for (const bool high : {false, true}) {
        const auto steps = equalSteps(
            [&](double t) {
                return fromHue(middleLightness + t * (endLightness - middleLightness),
                               endChroma * std::sin(t * std::numbers::pi / 2), high ? highHue : lowHue);
            },
            half + 1);
        for (int i = 0; i <= half; ++i) entries[high ? half + i : half - i] = toColour(toLinear(steps[i]));
    }
    return {std::move(name), std::move(title), true, entries};
}

struct ArcEnd {
    double lightness, chroma, hue;
};

// Lightness and hue run evenly; chroma follows two half parabolas whose common apex, at `apex`, is `apexChroma`:
// smooth, since the eye takes kinks for bands, and inside the gamut with a margin.
Path arc(const ArcEnd& from, const ArcEnd& to, double apex, double apexChroma) {
    return [=](double t) {
        const double share = t < apex ? (apex - t) / apex : (t - apex) / (1 - apex);
        const double chroma = apexChroma + ((t < apex ? from.chroma : to.chroma) - apexChroma) * share * share;
        return fromHue(from.lightness + t * (to.lightness - from.lightness), chroma,
                       from.hue + t * (to.hue - from.hue));
    };
}

}  // namespace

Colour ColourMap::at(float t) const {
    const float clipped = t > 0 ? std::min(t, 1.0f) : 0.0f;
    return m_entries[std::size_t(clipped * (kEntries - 1) + 0.5f)];
}

const std::vector<ColourMap>& colourMaps() {
    static const std::vector<ColourMap> maps{
        sequential("aurora", "Aurora: sequential", arc({0.20, 0.101, 292}, {0.95, 0.165, 106}, 0.38, 0.084)),
        sequential("ember", "Ember: sequential, warm", arc({0.16, 0.085, 285}, {0.96, 0.080, 460}, 0.50, 0.175)),
        sequential("graphite", "Graphite: sequential, grey", arc({0.17, 0.018, 255}, {0.97, 0.006, 255}, 0.50, 0.018)),
        diverging("tide", "Tide: diverging, light middle", 0.965, 0.42, 0.135, 255, 33),
        diverging("polar", "Polar: diverging, dark middle", 0.20, 0.78, 0.108, 252, 52),
    };
    return maps;
}

const ColourMap& colourMap(std::string_view name) {
    std::string names;
    for (const ColourMap& map : colourMaps()) {
        if (map.name() == name) return map;
        names += (names.empty() ? "" : ", ") + map.name();
    }
    fail("colours", "one of {} is required, but '{}' was given", names, name);
}

const ColourMap& defaultColourMap(bool diverging) {
    const auto& maps = colourMaps();
    return *std::find_if(maps.begin(), maps.end(),
                         [&](const ColourMap& map) { return map.isDiverging() == diverging; });
}

}  // namespace linscope::viz
