#include "viz/canvas/colouring.h"

#include <gtest/gtest.h>

#include <limits>

#include "viz/canvas/range_histogram.h"
#include "viz/heatmap/colour_map.h"

namespace linscope::viz {
namespace {

ValueStatistics statistics(std::vector<float> values) {
    const auto count = static_cast<std::int64_t>(values.size());
    return statisticsOf({.rows = 1, .cols = count, .values = std::move(values)});
}

class ExactAndLifted : public testing::Test {
protected:
    ExactAndLifted() {
        const std::array<const ValueStatistics*, 1> ofExact{&m_exact}, ofLifted{&m_lifted};
        m_colouring.setStatistics(RangeOf::Exact, ofExact);
        m_colouring.setStatistics(RangeOf::Lifted, ofLifted);
    }
    const ValueStatistics m_exact = statistics({0.0F, 0.5F}), m_lifted = statistics({-0.25F, 0.75F});
    Colouring m_colouring;
};

TEST_F(ExactAndLifted, ShareOneRangeAtFirstWhereNoneIsSigned) {
    EXPECT_FALSE(m_colouring.joint());
    const ValueStatistics weights = statistics({0.0F, 0.75F});
    const std::array<const ValueStatistics*, 1> ofLifted{&weights};
    m_colouring.setStatistics(RangeOf::Lifted, ofLifted);
    EXPECT_TRUE(m_colouring.joint());
    EXPECT_EQ(m_colouring.chosenJoint(), JointChoice());
    for (const RangeOf range : {RangeOf::Exact, RangeOf::Lifted}) {
        EXPECT_EQ(m_colouring.scale(range).kind, ScaleKind::Linear);
        EXPECT_FLOAT_EQ(m_colouring.scale(range).hi, 0.75F);
    }
}

TEST_F(ExactAndLifted, ShareOneRangeOrAreApartAsIsAskedFor) {
    m_colouring.setJoint(true);
    for (const RangeOf range : {RangeOf::Exact, RangeOf::Lifted}) {
        EXPECT_EQ(m_colouring.scale(range).kind, ScaleKind::Diverging);
        EXPECT_FLOAT_EQ(m_colouring.scale(range).hi, 0.75F);
    }
    m_colouring.setJoint(false);
    EXPECT_EQ(m_colouring.scale(RangeOf::Exact).kind, ScaleKind::Linear);
    EXPECT_EQ(m_colouring.scale(RangeOf::Lifted).kind, ScaleKind::Diverging) << "signed: zero must look like zero";
    EXPECT_FLOAT_EQ(m_colouring.scale(RangeOf::Exact).hi, 0.5F);
}

TEST_F(ExactAndLifted, AChoiceCountsForMapsOfTheSameKind) {
    const ValueStatistics weights = statistics({0.0F, 0.75F});
    const std::array<const ValueStatistics*, 1> unsignedMap{&weights}, signedMap{&m_lifted};
    m_colouring.setJoint(true);
    m_colouring.setStatistics(RangeOf::Lifted, unsignedMap);
    EXPECT_TRUE(m_colouring.joint()) << "as at first";
    m_colouring.setJoint(false);
    EXPECT_FLOAT_EQ(m_colouring.scale(RangeOf::Exact).hi, 0.5F);
    m_colouring.setStatistics(RangeOf::Lifted, signedMap);
    EXPECT_TRUE(m_colouring.joint());
    EXPECT_EQ(m_colouring.scale(RangeOf::Exact).kind, ScaleKind::Diverging);

    Colouring other;
    other.restoreJoint(m_colouring.chosenJoint());
    other.setStatistics(RangeOf::Lifted, unsignedMap);
    EXPECT_FALSE(other.joint());
    other.setStatistics(RangeOf::Lifted, signedMap);
    EXPECT_TRUE(other.joint());
}

TEST_F(ExactAndLifted, SignedOnesAreDivergingAgainAfterAnotherScale) {
    for (const bool joint : {true, false}) {
        m_colouring.setJoint(joint);
        m_colouring.setKind(ScaleKind::Log);
        EXPECT_EQ(m_colouring.scale(RangeOf::Lifted).kind, ScaleKind::Arcsinh) << "log would lose what is negative";
        EXPECT_EQ(m_colouring.scale(RangeOf::Exact).kind, joint ? ScaleKind::Arcsinh : ScaleKind::Log);
        m_colouring.setKind(ScaleKind::Linear);
        EXPECT_EQ(m_colouring.scale(RangeOf::Lifted).kind, ScaleKind::Diverging);
        EXPECT_TRUE(m_colouring.colours(RangeOf::Lifted).isDiverging());
        EXPECT_EQ(m_colouring.kind(), ScaleKind::Linear) << "what was chosen is what the tools show";
        EXPECT_EQ(m_colouring.colours(RangeOf::Exact).isDiverging(), joint);
    }
}

TEST_F(ExactAndLifted, ArcsinhHasZeroInTheMiddleOfSignedColours) {
    m_colouring.setKind(ScaleKind::Arcsinh);
    const ValueScale scale = m_colouring.scale(RangeOf::Lifted);
    EXPECT_EQ(scale.kind, ScaleKind::Arcsinh);
    EXPECT_FLOAT_EQ(scale.lo, -scale.hi);
    EXPECT_FLOAT_EQ(scale.position(0), 0.5F);
    EXPECT_TRUE(m_colouring.colours(RangeOf::Lifted).isDiverging());
    m_colouring.setJoint(false);
    EXPECT_FLOAT_EQ(m_colouring.scale(RangeOf::Exact).lo, 0);
    EXPECT_FALSE(m_colouring.colours(RangeOf::Exact).isDiverging());
}

TEST(Colouring, SignedMapsHaveTheMiddleOfTheGroundUnlessAPersonHasChosen) {
    Colouring colouring;
    const auto lightness = [&] {
        const Colour middle = colouring.colours(RangeOf::Difference).at(0.5F);
        return (middle.red + middle.green + middle.blue) / 3;
    };
    EXPECT_LT(lightness(), 0.3F);
    colouring.setDarkGround(false);
    EXPECT_GT(lightness(), 0.7F);
    EXPECT_EQ(colouring.divergingName(), "");
    colouring.setColours("polar");
    EXPECT_LT(lightness(), 0.3F);
}

TEST(Colouring, DifferenceStaysSymmetricWhateverIsAskedFor) {
    Colouring colouring;
    const ValueStatistics values = statistics({-0.5F, 0.1F, 0.2F});
    const std::array<const ValueStatistics*, 1> one{&values};
    colouring.setStatistics(RangeOf::Difference, one);
    colouring.setKind(ScaleKind::Log);
    EXPECT_EQ(colouring.scale(RangeOf::Difference).kind, ScaleKind::Diverging);
    colouring.setRange(RangeOf::Difference, -0.1F, 0.3F);
    EXPECT_FLOAT_EQ(colouring.scale(RangeOf::Difference).lo, -0.3F);
    EXPECT_FLOAT_EQ(colouring.scale(RangeOf::Difference).hi, 0.3F);
    EXPECT_TRUE(colouring.colours(RangeOf::Difference).isDiverging());
}

TEST(Colouring, ARangeSetByHandHoldsUntilItIsMadeAutomatic) {
    Colouring colouring;
    const ValueStatistics first = statistics({0.0F, 1.0F}), second = statistics({0.0F, 2.0F});
    const std::array<const ValueStatistics*, 1> one{&first}, two{&second};
    colouring.setStatistics(RangeOf::Exact, one);
    colouring.setRange(RangeOf::Exact, 0.1F, 0.4F);
    colouring.setStatistics(RangeOf::Exact, two);
    EXPECT_FLOAT_EQ(colouring.scale(RangeOf::Exact).hi, 0.4F);
    colouring.setAutomatic(RangeOf::Exact);
    EXPECT_FLOAT_EQ(colouring.scale(RangeOf::Exact).hi, 2.0F);
}

TEST(Colouring, UnfitRangesAreNotTaken) {
    Colouring colouring;
    colouring.setRange(RangeOf::Exact, std::numeric_limits<float>::quiet_NaN(), 1);
    EXPECT_TRUE(colouring.isAutomatic(RangeOf::Exact));
}

TEST(Colouring, StatisticsOfValuesWithoutAnyPositiveOne) {
    const ValueStatistics values = statistics({-1.0F, 0.0F, std::numeric_limits<float>::quiet_NaN()});
    EXPECT_EQ(values.decades.finite, 0);
    EXPECT_EQ(values.values.nan, 1);
}

TEST(RangeAxis, PlacesAndValuesAreInverse) {
    const ValueStatistics values = statistics({1e-5F, 0.2F, 0.9F});
    const std::array<HistogramLayer, 1> layers{{{.statistics = &values}}};
    for (const ValueScale scale : {ValueScale{.kind = ScaleKind::Linear, .lo = 0.0F, .hi = 1.0F},
                                   ValueScale{.kind = ScaleKind::Log, .lo = 1e-4F, .hi = 1.0F}}) {
        const RangeAxis axis(layers, scale);
        for (const double value : {1e-4, 0.2, 0.9}) EXPECT_NEAR(axis.toValue(axis.toShare(value)), value, 1e-9);
        EXPECT_GE(axis.toShare(scale.lo), 0);
        EXPECT_LE(axis.toShare(scale.hi), 1);
    }
}

TEST(Colouring, SaysWhatLiesBeyondAScale) {
    Histogram values;
    values.min = -2;
    values.max = 1;
    const auto scale = [](ScaleKind kind, float low, float high) {
        ValueScale made;
        made.kind = kind;
        made.lo = low;
        made.hi = high;
        return made;
    };
    EXPECT_EQ(clippingNote(values, scale(ScaleKind::Linear, -2, 1)), "");
    EXPECT_EQ(clippingNote(values, scale(ScaleKind::Linear, -1, 1)), "clipped below");
    EXPECT_EQ(clippingNote(values, scale(ScaleKind::Linear, -2, 0.5F)), "clipped above");
    EXPECT_EQ(clippingNote(values, scale(ScaleKind::Diverging, -0.5F, 0.5F)), "clipped");
    EXPECT_EQ(clippingNote(values, scale(ScaleKind::Diverging, -1.5F, 1.5F)), "clipped below");
    EXPECT_EQ(clippingNote(values, scale(ScaleKind::Log, 0.1F, 1)), "below range: darkest");
}

}  // namespace
}  // namespace linscope::viz
