#include <gtest/gtest.h>

#include <cmath>

#include "core/optim/adamw.h"

namespace linscope {
namespace {

TEST(Schedule, WarmsUpThenFallsToTheFinalFraction) {
    const OptimizerOptions options{.warmup = 10, .finalFraction = 0.1};
    EXPECT_DOUBLE_EQ(scheduledRate(options, 2.0, 1, 110), 0.2);
    EXPECT_DOUBLE_EQ(scheduledRate(options, 2.0, 10, 110), 2.0);
    EXPECT_NEAR(scheduledRate(options, 2.0, 60, 110), 2.0 * (0.1 + 0.9 * 0.5), 1e-12);
    EXPECT_NEAR(scheduledRate(options, 2.0, 110, 110), 0.2, 1e-12);
    EXPECT_NEAR(scheduledRate(options, 2.0, 500, 110), 0.2, 1e-12);
}

TEST(Schedule, ConstantStaysAtThePeak) {
    const OptimizerOptions options{.schedule = "constant", .warmup = 4};
    EXPECT_DOUBLE_EQ(scheduledRate(options, 1.0, 2, 100), 0.5);
    EXPECT_DOUBLE_EQ(scheduledRate(options, 1.0, 100, 100), 1.0);
}

// Three steps of one number, computed by hand from Algorithm 2 of Loshchilov & Hutter 2019.
TEST(AdamW, MatchesTheAlgorithm) {
    ParameterStore store(1, DType::F64);
    Parameter& p = store.add("w", {1}, {.mean = 1.0});
    const OptimizerOptions options{.beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8, .weightDecay = 0.1};
    double w = 1, m = 0, v = 0;
    for (int step = 1; step <= 3; ++step) {
        const double g = 0.5 * step - 1.2;
        p.gradient.as<double>()[0] = 4 * g;
        adamwStep(store, options, 0.01, step, 0.25);
        m = 0.9 * m + 0.1 * g;
        v = 0.99 * v + 0.01 * g * g;
        const double mHat = m / (1 - std::pow(0.9, step)), vHat = v / (1 - std::pow(0.99, step));
        w -= 0.01 * (mHat / (std::sqrt(vHat) + 1e-8) + 0.1 * w);
        EXPECT_NEAR(p.value.as<double>()[0], w, 1e-14);
    }
}

TEST(AdamW, FrozenParametersStay) {
    ParameterStore store(1);
    Parameter& p = store.add("E", {4}, {.mean = 1.0, .projection = true});
    p.frozen = true;
    for (float& g : p.gradient.span<float>()) g = 3;
    EXPECT_EQ(gradientNorm(store), 0);
    adamwStep(store, {}, 0.1, 1, 1);
    EXPECT_EQ(p.value.as<float>()[0], 1.0f);
    EXPECT_EQ(p.firstMoment.as<float>()[0], 0.0f);
    p.frozen = false;
    EXPECT_DOUBLE_EQ(gradientNorm(store), 6.0);
}

TEST(Parameters, EqualNamesStartEqual) {
    ParameterStore a(9), b(9), c(10);
    b.add("other", {3}, {.standardDeviation = 1});
    for (ParameterStore* store : {&a, &b, &c}) store->add("w", {8}, {.standardDeviation = 1});
    for (int i = 0; i < 8; ++i) EXPECT_EQ(a.find("w")->value.as<float>()[i], b.find("w")->value.as<float>()[i]);
    EXPECT_NE(a.find("w")->value.as<float>()[0], c.find("w")->value.as<float>()[0]);
}

}  // namespace
}  // namespace linscope
