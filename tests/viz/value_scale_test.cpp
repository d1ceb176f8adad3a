#include "viz/heatmap/value_scale.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "core/base/error.h"

namespace linscope::viz {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;

TEST(ValueScale, EndsAndMiddle) {
    EXPECT_FLOAT_EQ((ValueScale{ScaleKind::Linear, 2, 6}.position(3)), 0.25f);
    EXPECT_FLOAT_EQ((ValueScale{ScaleKind::Log, 1e-4f, 1}.position(1e-2f)), 0.5f);
    EXPECT_FLOAT_EQ((ValueScale{ScaleKind::Diverging, -1, 4}.position(0)), 0.5f) << "0 is the middle of any range";
    EXPECT_FLOAT_EQ((ValueScale{ScaleKind::Diverging, -1, 4}.position(-4)), 0.0f);
    EXPECT_FLOAT_EQ((ValueScale{ScaleKind::Arcsinh, -1, 1}.position(0)), 0.5f);
    EXPECT_GT((ValueScale{ScaleKind::Arcsinh, -1, 1}.position(0.01f)), 0.55f) << "small values are spread";
}

TEST(ValueScale, LogHasNoPositionForZeroAndNegatives) {
    const ValueScale scale{ScaleKind::Log, 1e-3f, 1};
    EXPECT_EQ(scale.position(0), -std::numeric_limits<float>::infinity());
    EXPECT_EQ(scale.position(-5), -std::numeric_limits<float>::infinity());
}

TEST(ValueScale, ValueIsTheInverseOfPosition) {
    for (const ValueScale& scale : {ValueScale{ScaleKind::Linear, -3, 8}, ValueScale{ScaleKind::Log, 1e-5f, 0.7f},
                                    ValueScale{ScaleKind::Diverging, -2, 1}, ValueScale{ScaleKind::Arcsinh, -0.1f, 3}})
        for (const float t : {0.0f, 0.1f, 0.5f, 0.77f, 1.0f})
            EXPECT_NEAR(scale.position(scale.value(t)), t, 1e-5) << scaleName(scale.kind);
}

TEST(ValueScale, DegenerateRangesAreMadeUsable) {
    const float inf = std::numeric_limits<float>::infinity();
    for (const ScaleKind kind : {ScaleKind::Linear, ScaleKind::Log, ScaleKind::Diverging, ScaleKind::Arcsinh})
        for (const auto& [lo, hi] : {std::pair{0.0f, 0.0f}, {0.5f, 0.5f}, {1.0f, -1.0f}, {-2.0f, -1.0f}, {-inf, inf}}) {
            const ValueScale scale = ValueScale{kind, lo, hi}.usable();
            EXPECT_LT(scale.lo, scale.hi) << scaleName(kind) << ' ' << lo << ' ' << hi;
            EXPECT_TRUE(std::isfinite(scale.position(0.3f)) && std::isfinite(scale.value(0.3f)));
        }
}

TEST(ValueScale, Names) {
    EXPECT_EQ(scaleKind("log"), ScaleKind::Log);
    EXPECT_EQ(scaleName(ScaleKind::Arcsinh), "arcsinh");
    EXPECT_THROW(scaleKind("cubic"), Error);
}

TEST(Ticks, AreRoundAndInside) {
    EXPECT_THAT(niceTicks(0, 511, 5), ElementsAre(0, 100, 200, 300, 400, 500));
    EXPECT_THAT(niceTicks(-0.3, 0.3, 4), ElementsAre(DoubleEq(-0.2), 0.0, DoubleEq(0.2)));
    const auto log = scaleTicks({ScaleKind::Log, 2e-5f, 0.5f}, 6);
    ASSERT_GE(log.size(), 4u);
    for (const double tick : log) EXPECT_NEAR(std::log10(tick), std::round(std::log10(tick)), 1e-9);
    for (const ScaleKind kind : {ScaleKind::Linear, ScaleKind::Log, ScaleKind::Diverging, ScaleKind::Arcsinh}) {
        const auto ticks = scaleTicks({kind, 0.0018f, 0.0021f}, 6);
        EXPECT_GE(ticks.size(), 2u) << scaleName(kind);
        EXPECT_TRUE(std::is_sorted(ticks.begin(), ticks.end()));
    }
}

TEST(Ticks, Text) {
    EXPECT_EQ(tickText(0), "0");
    EXPECT_EQ(tickText(0.002), "0.002");
    EXPECT_EQ(tickText(-0.4), "−0.4");
    EXPECT_EQ(tickText(1e-6), "1e−6");
    EXPECT_EQ(tickText(-2.5e-7), "−2.5e−7");
    EXPECT_EQ(tickText(4096), "4096");
    EXPECT_EQ(tickText(3e7), "3e7");
}

}  // namespace
}  // namespace linscope::viz
