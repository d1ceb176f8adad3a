#include "core/analysis/projection_health.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/base/error.h"
#include "core/base/random.h"

namespace linscope {
namespace {

std::vector<float> gaussian(std::int64_t slots, std::int64_t length, const char* name) {
    Random random(11, name);
    std::vector<float> values(static_cast<std::size_t>(slots * length));
    for (float& x : values) x = static_cast<float>(random.normal());
    return values;
}

// Row-major [2,3] with rows 3·e₀ and 4·e₁: read column-major it would be another matrix.
TEST(ProjectionHealth, KnowsADiagonal) {
    const std::vector<float> w{3, 0, 0, 0, 4, 0};
    const ProjectionHealth h = projectionHealth(w, w, 2, 3);
    EXPECT_FLOAT_EQ(h.spectrum[0], 4);
    EXPECT_FLOAT_EQ(h.spectrum[1], 3);
    EXPECT_NEAR(h.conditionNumber, 4.0 / 3, 1e-12);
    EXPECT_NEAR(h.stableRank, 25.0 / 16, 1e-12);
    EXPECT_NEAR(h.effectiveRank, std::exp(-(4.0 / 7 * std::log(4.0 / 7) + 3.0 / 7 * std::log(3.0 / 7))), 1e-12);
    EXPECT_NEAR(h.frobeniusDrift, 0, 1e-12);
    EXPECT_NEAR(h.scale, 1, 1e-12);
    EXPECT_NEAR(h.cosine, 1, 1e-12);
    EXPECT_NEAR(h.subspaceOverlap, 1, 1e-12);
    EXPECT_NEAR(h.principalAngles[1], 0, 1e-6);
}

TEST(ProjectionHealth, TellsScaleFromRotationFromLoss) {
    const std::vector<float> first{1, 0, 0, 0, 0, 1, 0, 0};         // rows e₀, e₁ of ℝ⁴
    const std::vector<float> scaled{2, 0, 0, 0, 0, 2, 0, 0};        // the same, twice as large
    const std::vector<float> inside{0, 1, 0, 0, -1, 0, 0, 0};       // turned inside its subspace
    const std::vector<float> tilted{1, 0, 0, 0, 0, 0.8f, 0.6f, 0};  // e₁ tilted by asin 0.6
    const auto s = projectionHealth(scaled, first, 2, 4), r = projectionHealth(inside, first, 2, 4),
               t = projectionHealth(tilted, first, 2, 4);
    EXPECT_NEAR(s.scale, 2, 1e-12);
    EXPECT_NEAR(s.cosine, 1, 1e-12);
    EXPECT_NEAR(s.subspaceOverlap, 1, 1e-12);
    EXPECT_NEAR(r.cosine, 0, 1e-12);
    EXPECT_NEAR(r.subspaceOverlap, 1, 1e-12);
    EXPECT_NEAR(t.principalAngles[0], 0, 1e-6);
    EXPECT_NEAR(t.principalAngles[1], std::asin(0.6), 1e-6);
    EXPECT_NEAR(t.subspaceOverlap, (1 + 0.64) / 2, 1e-6);
}

TEST(ProjectionHealth, SmallAnglesAreNotLostToRounding) {
    const float tilt = 1e-4f;
    const auto h = projectionHealth(std::vector<float>{1, tilt}, std::vector<float>{1, 0}, 1, 2);
    EXPECT_NEAR(h.principalAngles[0], 1e-4, 1e-8);
}

TEST(ProjectionHealth, CapsTheConditionOfADegenerateMatrix) {
    const std::vector<float> w{1, 2, 3, 2, 4, 6};
    EXPECT_DOUBLE_EQ(projectionHealth(w, w, 2, 3).conditionNumber, 8.4e6);
}

TEST(ProjectionHealth, SaysNaNForWhatIsNotFinite) {
    const std::vector<float> w{1, std::numeric_limits<float>::quiet_NaN()}, w0{1, 2};
    const auto h = projectionHealth(w, w0, 1, 2);
    EXPECT_TRUE(std::isnan(h.conditionNumber));
    EXPECT_TRUE(std::isnan(h.spectrum.at(0)));
    EXPECT_THROW(projectionHealth(w0, w0, 2, 2), Error);
}

TEST(ProjectionHealth, MeasuresATallMatrixAsItsTranspose) {
    const std::vector<float> tall{1, 2, 3, -1, 0.5f, 4}, wide{1, 3, 0.5f, 2, -1, 4};
    const auto a = projectionHealth(tall, tall, 3, 2), b = projectionHealth(wide, wide, 2, 3);
    EXPECT_EQ(a.spectrum, b.spectrum);
    EXPECT_EQ(a.spectrum.size(), 2u);
    EXPECT_EQ(a.conditionNumber, b.conditionNumber);
}

// Marchenko–Pastur: the dashed lines must lie where random matrices do.
TEST(RandomBaseline, MatchesRandomMatrices) {
    const std::int64_t slots = 64, length = 512;
    const auto w = gaussian(slots, length, "a"), other = gaussian(slots, length, "b");
    const ProjectionHealth h = projectionHealth(w, other, slots, length);
    const RandomBaseline b = randomBaseline(slots, length);
    EXPECT_NEAR(h.conditionNumber / b.conditionNumber, 1, 0.08);
    EXPECT_NEAR(h.stableRank / b.stableRank, 1, 0.05);
    EXPECT_NEAR(h.effectiveRank / b.effectiveRank, 1, 0.005);
    EXPECT_NEAR(h.subspaceOverlap / b.overlap, 1, 0.1);
    EXPECT_NEAR(h.spectrum.front() / b.largestSingular, 1, 0.04);
    EXPECT_NEAR(h.spectrum.back() / b.smallestSingular, 1, 0.06);
}

// Numbers of the literature for n = 4096, k = 256 (one draw measured: 163.8 of 164.6, 0.992 k).
TEST(RandomBaseline, KnownValues) {
    const RandomBaseline b = randomBaseline(256, 4096);
    EXPECT_NEAR(b.conditionNumber, 1.667, 0.001);
    EXPECT_NEAR(b.stableRank, 163.8, 0.1);
    EXPECT_NEAR(b.effectiveRank / 256, 0.992, 0.001);
    EXPECT_DOUBLE_EQ(b.overlap, 0.0625);
}

}  // namespace
}  // namespace linscope
