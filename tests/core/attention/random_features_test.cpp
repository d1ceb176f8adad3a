#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <vector>

#include "core/attention/mechanism.h"
#include "core/attention/performer/draw.h"
#include "core/attention/proof_case.h"
#include "core/base/error.h"

namespace linscope {
namespace {

using Vector = std::vector<double>;

double dot(const double* a, const double* b, std::size_t width) {
    double sum = 0;
    for (std::size_t j = 0; j < width; ++j) sum += a[j] * b[j];
    return sum;
}

struct Pair {
    Vector x{0.5, -0.3, 0.4, 0.2}, y{0.1, 0.3, 0.5, -0.2};
    double along(double sign) const {  // |x ± y|²
        double sum = 0;
        for (std::size_t j = 0; j < x.size(); ++j) sum += (x[j] + sign * y[j]) * (x[j] + sign * y[j]);
        return sum;
    }
    double kernel() const { return std::exp(dot(x.data(), y.data(), x.size())); }
};

enum Estimator { kPositive, kHyperbolic, kTrigonometric };

/// Mean and mean square error of the three estimates of e^(xᵀy) from m directions each.
struct Moments {
    std::array<double, 3> mean{}, error{};
};

Moments moments(Draw draw, std::int64_t m, std::int64_t draws) {
    const Pair pair;
    const std::size_t width = pair.x.size();
    const double norms = dot(pair.x.data(), pair.x.data(), width) + dot(pair.y.data(), pair.y.data(), width);
    Random random(11, "moments");
    Moments result;
    for (std::int64_t n = 0; n < draws; ++n) {
        const Vector omega = drawFeatures(draw, m, static_cast<std::int64_t>(width), random);
        std::array<double, 3> estimate{};
        for (std::size_t r = 0; r < static_cast<std::size_t>(m); ++r) {
            const double u = dot(&omega[r * width], pair.x.data(), width),
                         w = dot(&omega[r * width], pair.y.data(), width);
            estimate[kPositive] += std::exp(u + w - norms / 2);
            estimate[kHyperbolic] += std::cosh(u + w) * std::exp(-norms / 2);
            estimate[kTrigonometric] += std::cos(u - w) * std::exp(norms / 2);
        }
        for (std::size_t e = 0; e < 3; ++e) {
            const double value = estimate[e] / static_cast<double>(m), miss = value - pair.kernel();
            result.mean[e] += value / static_cast<double>(draws);
            result.error[e] += miss * miss / static_cast<double>(draws);
        }
    }
    return result;
}

// 400000 draws put the mean within about 0.3 % and the mean square error within about 2 % (the fourth moment of
// e^(ωᵀ(x+y)) is large) at these norms: the bounds are three such deviations.
TEST(RandomFeatures, VariancesAreThoseOfLemma2) {
    const Pair pair;
    const double sm = pair.kernel(), sum = pair.along(1), difference = pair.along(-1);
    const double positive = std::exp(sum) * sm * sm * (1 - std::exp(-sum));
    const std::array<double, 3> theory{
        positive, positive * (1 - std::exp(-sum)) / 2,
        std::exp(sum) / (sm * sm) * (1 - std::exp(-difference)) * (1 - std::exp(-difference)) / 2};
    const Moments found = moments(Draw::Iid, 1, 400000);
    for (std::size_t e = 0; e < 3; ++e) {
        EXPECT_NEAR(found.mean[e] / sm, 1.0, 0.01) << e;
        EXPECT_NEAR(found.error[e] / theory[e], 1.0, 0.06) << e;
    }
}

TEST(RandomFeatures, OrthogonalDirectionsAreUnbiasedAndBetter) {
    const Moments iid = moments(Draw::Iid, 4, 100000), orthogonal = moments(Draw::Orthogonal, 4, 100000);
    const Pair pair;
    for (std::size_t e = 0; e < 3; ++e) EXPECT_NEAR(orthogonal.mean[e] / pair.kernel(), 1.0, 0.01) << e;
    // By more than the noise of 2 %.
    EXPECT_LT(orthogonal.error[kPositive], 0.95 * iid.error[kPositive]);
    EXPECT_LT(orthogonal.error[kTrigonometric], 0.95 * iid.error[kTrigonometric]);
}

TEST(RandomFeatures, RegularisedDirectionsStayBelowTheKernel) {
    const Moments found = moments(Draw::Regularised, 4, 100000);
    const double ratio = found.mean[kPositive] / Pair{}.kernel();
    EXPECT_LE(ratio, 1.0 + 0.005);  // SMREG ≤ SM (Theorem 1 there)
    EXPECT_GE(ratio, 1.0 - 2.0 / std::cbrt(4.0));
}

TEST(Draw, BlocksAreOrthogonalWithChiNorms) {
    constexpr std::int64_t kWidth = 16, kFeatures = 40;  // two blocks and a half
    for (const Draw draw : {Draw::Orthogonal, Draw::Regularised}) {
        Random random(3, "draw");
        double squares = 0, fourth = 0;
        constexpr int kDraws = 500;
        for (int n = 0; n < kDraws; ++n) {
            const Vector values = drawFeatures(draw, kFeatures, kWidth, random);
            const auto product = [&](std::int64_t i, std::int64_t j) {
                return dot(&values[static_cast<std::size_t>(i * kWidth)], &values[static_cast<std::size_t>(j * kWidth)],
                           kWidth);
            };
            for (std::int64_t i = 0; i < kFeatures; ++i) {
                const double square = product(i, i);
                squares += square / (kDraws * kFeatures);
                fourth += square * square / (kDraws * kFeatures);
                if (draw == Draw::Regularised) {
                    EXPECT_NEAR(square, kWidth, 1e-4);
                }
                for (std::int64_t j = i / kWidth * kWidth; j < i; ++j) EXPECT_NEAR(product(i, j), 0, 1e-4);
            }
        }
        EXPECT_NEAR(squares, kWidth, 0.2);  // 20000 norms of variance 2·16: 5 deviations of 0.04
        if (draw == Draw::Orthogonal) {
            EXPECT_NEAR(fourth - squares * squares, 2 * kWidth, 2.0);  // χ²(D)
        }
    }
}

// Without the signs of diag R, the first entry of Q would always have one sign.
TEST(Draw, RotationsHaveNoPreferredSign) {
    Random random(5, "signs");
    std::array<double, 9> mean{};
    constexpr int kDraws = 4000;
    for (int n = 0; n < kDraws; ++n) {
        const Vector omega = drawFeatures(Draw::Regularised, 3, 3, random);
        for (std::size_t i = 0; i < 9; ++i) mean[i] += omega[i] / kDraws;
    }
    for (double m : mean) EXPECT_NEAR(m, 0, 0.08);  // entries of variance 1: 5 deviations
}

TEST(Performer, RefusesNoDirections) {
    const MechanismInfo& info = findMechanism("performer");
    EXPECT_THROW(info.validate({{"m", std::int64_t{0}}}, {}), Error);
    EXPECT_THROW(info.validate({{"m", std::int64_t{-3}}}, {}), Error);
    EXPECT_NO_THROW(info.validate({{"m", std::int64_t{1}}}, {}));
}

TEST(Performer, RedrawsDependOnSeedAndStepAlone) {
    const MechanismInfo& info = findMechanism("performer");
    const OptionValues options{{"m", std::int64_t{5}}, {"redraw", std::int64_t{10}}};
    const AttentionSizes sizes{.layers = 2, .heads = 2, .headWidth = 4, .length = 8};
    const auto after = [&](std::uint64_t seed, std::vector<std::int64_t> steps) {
        ParameterStore store(seed);
        const auto mechanism = info.create(options, sizes, store);
        for (std::int64_t step : steps) mechanism->beforeStep(step);
        std::vector<float> all;
        for (const Projection& p : mechanism->projections()) all.insert(all.end(), p.values.begin(), p.values.end());
        EXPECT_EQ(mechanism->projections().size(), 4u);
        return all;
    };
    EXPECT_EQ(after(1, {1, 2, 10}), after(1, {}));
    EXPECT_NE(after(1, {11}), after(1, {}));
    EXPECT_EQ(after(1, {11, 12, 21}), after(1, {21}));
    EXPECT_NE(after(1, {21}), after(1, {11}));
    EXPECT_NE(after(1, {11}), after(2, {11}));
    ParameterStore store(1);
    const auto mechanism = info.create(options, sizes, store);
    EXPECT_EQ(mechanism->beforeStep(10), "");
    EXPECT_NE(mechanism->beforeStep(11), "");
}

// The bounds of the general proofs, at norms where trigonometric weights have a sum that is far from 0.
TEST(Performer, TrigonometricFeaturesAreTheDefinitionAtSmallNorms) {
    const MechanismInfo& info = findMechanism("performer");
    for (const bool causal : {false, true})
        for (const std::int64_t length : {1, 63, 300}) {
            proofs::Case c{&info,
                           {.layers = 2, .heads = 2, .headWidth = 32, .length = length, .causal = causal},
                           2,
                           {{"features", std::string("trigonometric")}, {"m", std::int64_t{39}}}};
            proofs::Inputs inputs = proofs::randomInputs(c);
            for (auto* numbers : {&inputs.q, &inputs.k})
                for (double& x : *numbers) x *= 0.2;
            const auto expected = proofs::run(c, inputs, proofs::Form::Naive, DType::F64);
            for (const auto& [type, bound] : {std::pair{DType::F32, 1e-5}, std::pair{DType::F64, 1e-11}}) {
                const auto found = proofs::run(c, inputs, proofs::Form::Fused, type);
                EXPECT_LE(proofs::relativeError(found.o, expected.o), bound) << c.text();
                EXPECT_LE(proofs::relativeError(found.dq, expected.dq), bound) << c.text();
                EXPECT_LE(proofs::relativeError(found.dk, expected.dk), bound) << c.text();
                EXPECT_LE(proofs::relativeError(found.dv, expected.dv), bound) << c.text();
            }
            if (!causal) continue;
            c.batch = 1;
            proofs::Inputs one = proofs::randomInputs(c);
            for (auto* numbers : {&one.q, &one.k})
                for (double& x : *numbers) x *= 0.2;
            EXPECT_LE(
                proofs::relativeError(proofs::decode(c, one), proofs::run(c, one, proofs::Form::Naive, DType::F64).o),
                1e-5)
                << c.text();
        }
    EXPECT_TRUE(info.signedMap({{"features", std::string("trigonometric")}}));
    EXPECT_FALSE(info.signedMap({}));
}

TEST(Positions, KernelsTakeAlibiInTheCausalFormAlone) {
    for (const char* name : {"linear", "performer"}) {
        const MechanismInfo& info = findMechanism(name);
        EXPECT_EQ(positionFit(info, Position::Alibi, true).fit, Fit::Exact) << name;
        EXPECT_EQ(positionFit(info, Position::Alibi, false).fit, Fit::Refused) << name;
        EXPECT_EQ(positionFit(info, Position::RelativeBias, true).fit, Fit::Refused) << name;
    }
    EXPECT_EQ(positionFit(findMechanism("linear"), Position::Rotary, true).fit, Fit::Approximate);
    EXPECT_EQ(positionFit(findMechanism("performer"), Position::Rotary, true).fit, Fit::Exact);
}

}  // namespace
}  // namespace linscope
