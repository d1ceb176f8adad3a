#include "core/ops/exponential.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace linscope {
namespace {

TEST(Exponential, IsThatOfTheLibraryTo2e7) {
    double worst = 0;
    for (float x = -125.9f; x < 127.5f; x += 1.7e-4f)
        worst = std::max(worst, std::abs(double(exp2Of(x)) / std::exp2(double(x)) - 1));
    EXPECT_LT(worst, 2e-7);
    EXPECT_GT(worst, 1e-8) << "nothing was compared";
}

TEST(Exponential, IsExactAtWholeNumbers) {
    for (int n = -126; n < 128; ++n) EXPECT_EQ(exp2Of(float(n)), std::ldexp(1.0f, n));
}

TEST(Exponential, IsZeroBelowTheNormalNumbersAndKeepsNaN) {
    EXPECT_EQ(exp2Of(-126.01f), 0.0f);
    EXPECT_EQ(exp2Of(-1e30f), 0.0f);
    EXPECT_EQ(exp2Of(-std::numeric_limits<float>::infinity()), 0.0f);
    EXPECT_TRUE(std::isnan(exp2Of(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace linscope
