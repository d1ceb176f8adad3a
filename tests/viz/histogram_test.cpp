#include "viz/heatmap/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

#include "core/base/error.h"

namespace linscope::viz {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();

TEST(Histogram, CountsEveryValueOnce) {
    const Histogram h = histogramOf({2, 5, {0, 1, 2, 3, 4, kNan, kInf, kInf, -kInf, 4}}, 4);
    EXPECT_EQ(h.counts, (std::vector<std::int64_t>{1, 1, 1, 3}));
    EXPECT_EQ(h.finite, 6);
    EXPECT_EQ(h.nan, 1);
    EXPECT_EQ(h.plusInf, 2);
    EXPECT_EQ(h.minusInf, 1);
    EXPECT_TRUE(h.hasLoudCells());
    EXPECT_EQ(h.min, 0);
    EXPECT_EQ(h.max, 4);
    EXPECT_EQ(h.smallestPositive, 1);
}

TEST(Histogram, QuantilesAreThoseOfTheSortedValues) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    std::vector<float> values(10007);
    for (float& value : values) value = normal(random) * 1e-3f;
    const double q[] = {0, 0.01, 0.25, 0.5, 0.995, 1};
    const auto found = quantiles(values, q);
    std::sort(values.begin(), values.end());
    for (std::size_t i = 0; i < std::size(q); ++i) {
        const auto rank = std::max<std::ptrdiff_t>(0, std::ptrdiff_t(std::ceil(q[i] * 10007)) - 1);
        EXPECT_EQ(found[i], values[std::size_t(rank)]) << q[i];
    }
}

TEST(Histogram, NothingFiniteOrNothingDifferent) {
    const Histogram none = histogramOf({1, 2, {kNan, kInf}}, 8);
    EXPECT_EQ(none.finite, 0);
    for (const ScaleKind kind : {ScaleKind::Linear, ScaleKind::Log, ScaleKind::Diverging, ScaleKind::Arcsinh})
        EXPECT_LT(autoRange(none, kind).lo, autoRange(none, kind).hi);
    const Histogram constant = histogramOf({1, 3, {2, 2, 2}}, 8);
    EXPECT_EQ(std::accumulate(constant.counts.begin(), constant.counts.end(), std::int64_t(0)), 3);
    EXPECT_THROW(histogramOf({1, 1, {0}}, 0), Error);
}

TEST(AutoRange, SuitsTheScale) {
    Matrix matrix{1, 1000, std::vector<float>(1000)};
    for (int i = 0; i < 1000; ++i) matrix.values[std::size_t(i)] = float(i) / 1000;
    const Histogram h = histogramOf(matrix, 10);
    EXPECT_EQ(autoRange(h, ScaleKind::Linear).lo, 0);
    EXPECT_FLOAT_EQ(autoRange(h, ScaleKind::Linear).hi, 0.999f);
    EXPECT_FLOAT_EQ(autoRange(h, ScaleKind::Log).lo, 0.009f);
    EXPECT_FLOAT_EQ(autoRange(h, ScaleKind::Diverging).hi, 0.994f);
    EXPECT_FLOAT_EQ(autoRange(h, ScaleKind::Diverging).lo, -0.994f);
}

TEST(AutoRange, OfOneMatrixAloneBeginsAtItsLeastValue) {
    const Histogram flat = histogramOf({1, 3, {0.25f, 0.26f, 0.27f}}, 10);
    EXPECT_EQ(autoRange(flat, ScaleKind::Linear).lo, 0);
    EXPECT_FLOAT_EQ(ownRange(flat, ScaleKind::Linear).lo, 0.25f);
    EXPECT_FLOAT_EQ(ownRange(flat, ScaleKind::Linear).hi, 0.27f);
    EXPECT_FLOAT_EQ(ownRange(flat, ScaleKind::Diverging).lo, -0.27f) << "0 stays the middle";
    EXPECT_LT(ownRange(histogramOf({1, 1, {0.5f}}, 1), ScaleKind::Linear).lo, 0.5f) << "of a constant: some range";
}

TEST(AutoRange, TheFirstRowsOfACausalMapDoNotDarkenTheOthers) {
    Matrix causal{100, 100, std::vector<float>(10000)};
    for (int row = 0; row < 100; ++row)
        for (int col = 0; col <= row; ++col) causal.values[std::size_t(row * 100 + col)] = 1.0f / float(row + 1);
    EXPECT_FLOAT_EQ(autoRange(histogramOf(causal, 10), ScaleKind::Linear).hi, 1.0f / 11);
    // Where most rows look at one key, its weight is the top of the range.
    Matrix sharp{100, 100, std::vector<float>(10000)};
    for (int row = 0; row < 100; ++row) sharp.values[std::size_t(row * 101)] = row == 0 ? 1.0f : 0.8f;
    EXPECT_EQ(autoRange(histogramOf(sharp, 10), ScaleKind::Linear).hi, 1.0f);
}

TEST(AutoRange, IsSharedBySeveralMatrices) {
    const Histogram both[] = {histogramOf({1, 2, {0.1f, 0.2f}}, 4), histogramOf({1, 2, {-3, 5}}, 4)};
    const ValueScale scale = autoRange(both, ScaleKind::Linear);
    EXPECT_EQ(scale.lo, -3);
    EXPECT_EQ(scale.hi, 5);
    EXPECT_EQ(autoRange(both, ScaleKind::Diverging).hi, 5);
}

}  // namespace
}  // namespace linscope::viz
