#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/attention/mechanism.h"
#include "core/base/error.h"

namespace linscope {
namespace {

template <typename Function>
std::string errorOf(Function&& function) {
    try {
        function();
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

std::string refusal(std::string_view mechanism, const AttentionSizes& sizes) {
    return errorOf([&] { checkAttention(findMechanism(mechanism), {}, sizes); });
}

TEST(RelativeBucket, BothSidesHaveAHalf) {
    for (std::int64_t d = 1; d < 400; ++d)
        EXPECT_EQ(relativeBucket(d, false), relativeBucket(-d, false) + kRelativeBuckets / 2) << d;
    EXPECT_EQ(relativeBucket(0, false), 0);
    for (std::int64_t d = 0; d < 8; ++d) EXPECT_EQ(relativeBucket(-d, false), d);
    // ⌊8 + 8·ln(d/8)/ln(128/8)⌋: √2 from bucket to bucket
    EXPECT_EQ(relativeBucket(-11, false), 8);
    EXPECT_EQ(relativeBucket(-12, false), 9);
    EXPECT_EQ(relativeBucket(-15, false), 9);
    EXPECT_EQ(relativeBucket(-16, false), 10);
    EXPECT_EQ(relativeBucket(-32, false), 12);
    EXPECT_EQ(relativeBucket(-64, false), 14);
}

TEST(RelativeBucket, GrowsWithTheDistanceAndUsesEveryBucket) {
    for (const bool causal : {false, true}) {
        std::int64_t before = 0;
        for (std::int64_t d = 1; d < 400; ++d) {
            const std::int64_t bucket = relativeBucket(-d, causal);
            EXPECT_GE(bucket, before);
            EXPECT_LE(bucket, before + 1);
            before = bucket;
        }
        EXPECT_EQ(before, causal ? kRelativeBuckets - 1 : kRelativeBuckets / 2 - 1);
    }
}

TEST(RelativeBucket, CausalIgnoresTheFuture) {
    for (std::int64_t d = 0; d < 400; ++d) EXPECT_EQ(relativeBucket(d, true), 0);
    for (std::int64_t d = 0; d < 16; ++d) EXPECT_EQ(relativeBucket(-d, true), d);
}

TEST(RelativeBucket, EndsAt128) {
    for (const bool causal : {false, true}) {
        for (const std::int64_t d : {129, 1000, 1 << 30})
            for (const std::int64_t sign : {-1, 1})
                EXPECT_EQ(relativeBucket(sign * d, causal), relativeBucket(sign * 128, causal));
        EXPECT_EQ(relativeBucket(-128, causal), causal ? 31 : 15);
    }
    EXPECT_EQ(relativeBucket(128, false), 31);
    EXPECT_EQ(relativeBucket(std::numeric_limits<std::int64_t>::min(), true), 31);
    EXPECT_EQ(relativeBucket(std::numeric_limits<std::int64_t>::max(), false), 31);
}

TEST(AlibiSlopes, AreThoseOfThePaper) {
    EXPECT_THAT(alibiSlopes(8),
                testing::ElementsAre(0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625));
    const auto sixteen = alibiSlopes(16);
    ASSERT_EQ(sixteen.size(), 16u);
    EXPECT_DOUBLE_EQ(sixteen[0], std::sqrt(0.5));
    for (std::size_t h = 1; h < 16; ++h) EXPECT_DOUBLE_EQ(sixteen[h], sixteen[h - 1] * std::sqrt(0.5));
    EXPECT_EQ(sixteen[15], 0.00390625);
    EXPECT_THAT(alibiSlopes(1), testing::ElementsAre(0.00390625));
}

TEST(PositionOf, KnowsItsNamesAndNoOther) {
    for (std::size_t i = 0; i < kPositionNames.size(); ++i) {
        EXPECT_EQ(positionOf(kPositionNames[i]), static_cast<Position>(i));
        EXPECT_STREQ(nameOf(static_cast<Position>(i)), kPositionNames[i]);
    }
    EXPECT_EQ(errorOf([] { positionOf("rotatory"); }),
              "[position] one of none, learned, sinusoidal, rotary, alibi, relative_bias, but got \"rotatory\"");
    EXPECT_THROW(positionOf(""), Error);
}

TEST(CheckAttention, RefusesAMechanismWithoutACausalForm) {
    for (const std::string name : {"linformer", "nystrom"})
        EXPECT_EQ(refusal(name, {.length = 256, .causal = true}),
                  "[" + name + "] model.kind \"encoder\", but it is \"decoder\", and " + name + " has no causal form");
}

TEST(CheckAttention, RefusesAMechanismWithoutABidirectionalForm) {
    EXPECT_EQ(refusal("retention", {.length = 256}),
              "[retention] model.kind \"decoder\", but it is \"encoder\", and retention runs forward in time only");
}

TEST(CheckAttention, RefusesAPositionSchemeWithItsReason) {
    EXPECT_EQ(refusal("linformer", {.length = 256, .position = Position::Alibi}),
              "[linformer] a position scheme that linformer can have, but model.position is \"alibi\": a slot has no "
              "place, so that it has no distance from a query");
    EXPECT_EQ(
        refusal("linear", {.length = 256, .position = Position::Alibi}),
        "[linear] a position scheme that linear can have, but model.position is \"alibi\": a decay needs an order "
        "of the tokens, which sums over both sides do not have");
    EXPECT_EQ(refusal("linear", {.length = 256, .causal = true, .position = Position::Alibi}), "no error");
    EXPECT_EQ(refusal("linear", {.length = 256, .position = Position::Rotary}), "no error") << "approximate is allowed";
}

TEST(CheckAttention, RefusesOptionsThatTheMechanismCannotHave) {
    const auto linformer = [](std::int64_t k) {
        return errorOf([&] { checkAttention(findMechanism("linformer"), {{"k", std::vector{k}}}, {.length = 16}); });
    };
    EXPECT_EQ(linformer(17),
              "[linformer] k must be between 1 and the length 16, but is 17; lower k or raise task.length");
    EXPECT_EQ(linformer(16), "no error");
}

// Whatever a mechanism says of a scheme: a refusal and an approximation come with a reason, and the schemes of the
// embedding suit all.
TEST(PositionFit, HasAReasonUnlessItIsExact) {
    for (const MechanismInfo& info : mechanisms())
        for (const bool causal : {false, true})
            for (const char* name : kPositionNames) {
                const Position position = positionOf(name);
                const PositionFit fit = positionFit(info, position, causal);
                EXPECT_EQ(fit.fit == Fit::Exact, fit.reason.empty()) << info.name << ' ' << name;
                EXPECT_TRUE(position >= Position::Rotary || fit.fit == Fit::Exact) << info.name << ' ' << name;
            }
    MechanismInfo silent;
    silent.name = "silent";
    for (const Position position : {Position::Rotary, Position::Alibi, Position::RelativeBias})
        EXPECT_EQ(positionFit(silent, position, false).fit, Fit::Refused);
}

}  // namespace
}  // namespace linscope
