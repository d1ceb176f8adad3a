#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "app/panels/lane_curve.h"

namespace linscope::app {
namespace {

TEST(Smoother, StartsUnbiased) {
    Smoother smoother(0.9);
    EXPECT_DOUBLE_EQ(smoother.add(5), 5);
    // (0.9·0.1·5 + 0.1·7) / (1 − 0.81)
    EXPECT_NEAR(smoother.add(7), (0.9 * 0.1 * 5 + 0.1 * 7) / 0.19, 1e-12);
}

TEST(Smoother, WithoutWeightIsTheValueItself) {
    Smoother smoother(0);
    for (const double value : {3.0, -1.0, 8.0}) EXPECT_DOUBLE_EQ(smoother.add(value), value);
}

TEST(Smoother, NaNLeavesNoTrace) {
    Smoother with(0.5), without(0.5);
    with.add(1);
    without.add(1);
    EXPECT_TRUE(std::isnan(with.add(std::numeric_limits<double>::quiet_NaN())));
    EXPECT_DOUBLE_EQ(with.add(2), without.add(2));
}

}  // namespace
}  // namespace linscope::app
