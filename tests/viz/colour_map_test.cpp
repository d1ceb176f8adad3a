#include "viz/heatmap/colour_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/error.h"
#include "viz/heatmap/oklab.h"

namespace linscope::viz {
namespace {

constexpr int kLast = ColourMap::kEntries - 1, kMiddle = kLast / 2;

Oklab labOf(const Colour& colour) {
    return toOklab(toLinear(colour));
}

// G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, "A Physiologically-based Model for Simulation of Color
// Vision Deficiency", 2009: severity 1.0, on linear-light RGB.
struct Deficiency {
    const char* name;
    std::array<double, 9> matrix;
};
constexpr Deficiency kDeficiencies[] = {
    {"protanopia", {0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998}},
    {"deuteranopia", {0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881}},
    {"tritanopia", {1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900}},
};

Oklab seenBy(const Deficiency& deficiency, const Colour& colour) {
    const LinearRgb c = toLinear(colour);
    const auto& m = deficiency.matrix;
    const auto channel = [&](int row) {
        return std::clamp(m[row] * c.red + m[row + 1] * c.green + m[row + 2] * c.blue, 0.0, 1.0);
    };
    return toOklab({channel(0), channel(3), channel(6)});
}

class EveryMap : public ::testing::TestWithParam<std::string> {
protected:
    const ColourMap& map() const { return colourMap(GetParam()); }
};

std::vector<std::string> mapNames() {
    std::vector<std::string> names;
    for (const ColourMap& map : colourMaps()) names.push_back(map.name());
    return names;
}

INSTANTIATE_TEST_SUITE_P(ColourMaps, EveryMap, ::testing::ValuesIn(mapNames()),
                         [](const auto& tested) { return tested.param; });

// Steps of 10 entries, so that the rounding of single entries to float does not count.
TEST_P(EveryMap, StepsArePerceptuallyEqual) {
    double least = 1e9, most = 0;
    for (int i = 0; i + 10 <= kLast; i += 5) {
        if (map().isDiverging() && i < kMiddle && i + 10 > kMiddle) continue;  // the fold
        const double step = distance(labOf(map().entries()[i]), labOf(map().entries()[i + 10]));
        least = std::min(least, step);
        most = std::max(most, step);
    }
    EXPECT_GT(least, 0.005);
    EXPECT_LT(most / least, 1.05) << "largest over smallest step";
}

TEST_P(EveryMap, LightnessIsMonotoneOrV) {
    const auto& entries = map().entries();
    const int direction =
        labOf(entries[kLast]).lightness > labOf(entries[map().isDiverging() ? kMiddle : 0]).lightness ? 1 : -1;
    for (int i = map().isDiverging() ? kMiddle : 0; i < kLast; ++i)
        EXPECT_GT(direction * (labOf(entries[i + 1]).lightness - labOf(entries[i]).lightness), 0) << i;
    if (!map().isDiverging()) return;
    for (int i = 0; i <= kMiddle; ++i)
        EXPECT_NEAR(labOf(entries[i]).lightness, labOf(entries[kLast - i]).lightness, 1e-4) << "mirror of " << i;
    EXPECT_LT(std::hypot(labOf(entries[kMiddle]).a, labOf(entries[kMiddle]).b), 1e-4) << "the middle has no hue";
}

// The path itself must lie in the gamut: a clipped channel would bend lightness or steps, and would
// sit at exactly 0 or 1 for many entries in a row.
TEST_P(EveryMap, IsInsideTheGamut) {
    int atTheEdge = 0;
    for (const Colour& c : map().entries())
        for (const float channel : {c.red, c.green, c.blue}) {
            ASSERT_TRUE(channel >= 0 && channel <= 1);
            atTheEdge += channel == 0 || channel == 1;
        }
    EXPECT_EQ(atTheEdge, 0);
}

TEST_P(EveryMap, IsSafeForColourBlindReaders) {
    const auto& entries = map().entries();
    for (const Deficiency& deficiency : kDeficiencies) {
        const Oklab low = seenBy(deficiency, entries.front()), high = seenBy(deficiency, entries.back());
        EXPECT_GT(distance(low, high), map().isDiverging() ? 0.15 : 0.6) << deficiency.name;
        // Lightness still orders the values: in steps of 10, along each arm.
        const int begin = map().isDiverging() ? kMiddle : 0;
        const auto rises = [&](int from, int to) {
            return seenBy(deficiency, entries[to]).lightness - seenBy(deficiency, entries[from]).lightness;
        };
        const int direction = rises(begin, kLast) > 0 ? 1 : -1;
        for (int i = begin; i + 10 <= kLast; i += 10) {
            EXPECT_GT(direction * rises(i, i + 10), 0) << deficiency.name << ' ' << i;
            if (map().isDiverging()) {
                EXPECT_GT(direction * rises(kLast - i, kLast - i - 10), 0) << deficiency.name << " low arm " << i;
            }
        }
    }
}

TEST_P(EveryMap, DoesNotContainTheLoudColours) {
    for (const Colour& loud : {kNanColour, kPlusInfColour, kMinusInfColour})
        for (const Colour& c : map().entries()) EXPECT_GT(distance(labOf(loud), labOf(c)), 0.1);
}

TEST(ColourMaps, LoudColoursDiffer) {
    EXPECT_GT(distance(labOf(kNanColour), labOf(kPlusInfColour)), 0.2);
    EXPECT_GT(distance(labOf(kNanColour), labOf(kMinusInfColour)), 0.2);
    EXPECT_GT(distance(labOf(kPlusInfColour), labOf(kMinusInfColour)), 0.2);
}

TEST(ColourMaps, Lookup) {
    const ColourMap& map = defaultColourMap(false);
    EXPECT_EQ(&map, &colourMaps().front());
    EXPECT_TRUE(defaultColourMap(true).isDiverging());
    EXPECT_EQ(map.at(-3).red, map.entries().front().red);
    EXPECT_EQ(map.at(7).red, map.entries().back().red);
    EXPECT_EQ(map.at(0.5f).green, map.entries()[kMiddle].green);
    EXPECT_THROW(colourMap("jet"), Error);
}

TEST(Oklab, KnownColours) {
    const Oklab white = labOf({1, 1, 1}), red = labOf({1, 0, 0});
    EXPECT_NEAR(white.lightness, 1, 1e-4);
    EXPECT_NEAR(std::hypot(white.a, white.b), 0, 1e-4);
    EXPECT_NEAR(red.lightness, 0.62796, 1e-4);
    EXPECT_NEAR(red.a, 0.22486, 1e-4);
    EXPECT_NEAR(red.b, 0.12585, 1e-4);
    const LinearRgb back = toLinear(labOf({0.2f, 0.6f, 0.4f}));
    EXPECT_NEAR(toColour(back).green, 0.6, 1e-5);
}

}  // namespace
}  // namespace linscope::viz
