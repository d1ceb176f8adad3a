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
