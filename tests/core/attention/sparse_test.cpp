#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "core/analysis/recall.h"
#include "core/attention/nystrom/landmarks.h"
#include "core/attention/proof_case.h"
#include "core/attention/reformer/reformer.h"
#include "core/base/error.h"
#include "core/base/random.h"

namespace linscope {
namespace {

using proofs::Case;
using proofs::Form;
using proofs::Numbers;

Numbers outputOf(const char* mechanism, const OptionValues& options, const AttentionSizes& sizes) {
    // The input's stream is named by its case: full and the others get the same through one name.
    const Case named{&findMechanism("full"), sizes, 2, {}};
    const Case c{&findMechanism(mechanism), sizes, 2, options};
    return proofs::run(c, proofs::randomInputs(named), Form::Fused, DType::F64).o;
}

TEST(Window, LongerThanTheSequenceIsFullAttention) {
    for (const bool causal : {false, true}) {
        const AttentionSizes sizes{.heads = 2, .headWidth = 8, .length = 20, .causal = causal};
        EXPECT_LT(proofs::relativeError(outputOf("window", {{"window", std::int64_t{20}}}, sizes),
                                        outputOf("full", {}, sizes)),
                  1e-14);
        EXPECT_GT(proofs::relativeError(outputOf("window", {{"window", std::int64_t{19}}}, sizes),
                                        outputOf("full", {}, sizes)),
                  1e-6);
    }
}

TEST(Window, RefusesNone) {
    EXPECT_THROW(findMechanism("window").validate({{"window", std::int64_t{0}}}, {}), Error);
}

TEST(Nystrom, SegmentsDifferByOneAndSkipPadding) {
    Arena arena;
    const std::vector<float> keep{1, 0, 1, 1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0};
    const LandmarkSegments segments = shareOut(arena, 2, 9, 3, keep);
    EXPECT_THAT(segments.size.span<std::int32_t>(), testing::ElementsAre(2, 2, 3, 1, 1, 0));
    EXPECT_THAT(segments.segment.span<std::int32_t>(),
                testing::ElementsAre(0, -1, 0, 1, 1, 2, -1, 2, 2, -1, -1, 0, -1, 1, -1, -1, -1, -1));
    EXPECT_EQ(segments.count(1), 2);
}

TEST(Nystrom, RefusesMoreLandmarksThanTokens) {
    const MechanismInfo& info = findMechanism("nystrom");
    EXPECT_THROW(info.validate({{"landmarks", std::int64_t{65}}}, {.length = 64}), Error);
    EXPECT_NO_THROW(info.validate({{"landmarks", std::int64_t{64}}}, {.length = 64}));
}

TEST(Reformer, RefusesOddBucketsAndLongChunks) {
    const MechanismInfo& info = findMechanism("reformer");
    EXPECT_THROW(info.validate({{"buckets", std::int64_t{7}}}, {.length = 64}), Error);
    EXPECT_THROW(info.validate({{"chunk", std::int64_t{65}}}, {.length = 64}), Error);
    EXPECT_NO_THROW(info.validate({}, {.length = 64}));
}

TEST(Reformer, ManyBucketsAreTwoEvenFactors) {
    const auto factors = [](std::int64_t buckets) { return LshSizes{.buckets = buckets}.factors(); };
    EXPECT_EQ(factors(64), std::pair(std::int64_t{64}, std::int64_t{1}));
    EXPECT_EQ(factors(72), std::pair(std::int64_t{12}, std::int64_t{6}));
    EXPECT_EQ(factors(256), std::pair(std::int64_t{16}, std::int64_t{16}));
    EXPECT_EQ(factors(66), std::pair(std::int64_t{66}, std::int64_t{1}));
}

/// Tokens near one of `centres` directions, or without one: standard normal; [T,D].
std::vector<float> tokens(std::int64_t length, std::int64_t width, std::int64_t centres) {
    Random random(5, "tokens");
    std::vector<float> directions(static_cast<std::size_t>(centres * width));
    for (float& x : directions) x = static_cast<float>(random.normal());
    std::vector<float> result;
    for (std::int64_t t = 0; t < length; ++t) {
        const std::int64_t centre = centres > 0 ? random.below(centres) : 0;
        for (std::int64_t c = 0; c < width; ++c) {
            const auto noise = static_cast<float>(random.normal());
            result.push_back(centres > 0 ? directions[static_cast<std::size_t>(centre * width + c)] + 0.1f * noise
                                         : noise);
        }
    }
    return result;
}

struct Met {
    std::vector<std::int32_t> attended;
    double recall;
};
Met meet(std::int64_t rounds, std::int64_t chunk, bool causal, const std::vector<float>& q, std::int64_t width) {
    const auto length = static_cast<std::int64_t>(q.size()) / width;
    ParameterStore store(1);
    const ReformerAttention reformer({.rounds = rounds, .buckets = 16, .chunk = chunk},
                                     {.heads = 2, .headWidth = width, .length = length, .causal = causal}, store);
    Met met{reformer.attended(0, 1, q), 0};
    TopKeyRecall recall(causal);
    for (std::int64_t i = 0; i < length; ++i) {
        std::vector<float> exact, map;
        for (std::int64_t j = 0; j < length; ++j) {
            float dot = 0, square = 0;
            for (std::int64_t c = 0; c < width; ++c) {
                const float x = q[static_cast<std::size_t>(j * width + c)];
                dot += q[static_cast<std::size_t>(i * width + c)] * x;
                square += x * x;
            }
            exact.push_back(dot / std::sqrt(square));
            map.push_back(static_cast<float>(met.attended[static_cast<std::size_t>(i * length + j)]));
        }
        recall.add(i, exact, map);
    }
    met.recall = recall.value();
    return met;
}

TEST(Reformer, LooksAtOwnAndPreviousChunkOnly) {
    const std::vector<float> q = tokens(200, 8, 0);
    for (const bool causal : {false, true}) {
        const Met met = meet(1, 16, causal, q, 8);
        std::int64_t least = 200, most = 0;
        for (std::int64_t i = 0; i < 200; ++i) {
            std::int64_t seen = 0;
            for (std::int64_t j = 0; j < 200; ++j) seen += met.attended[static_cast<std::size_t>(i * 200 + j)];
            least = std::min(least, seen);
            most = std::max(most, seen);
            for (std::int64_t j = i + 1; causal && j < 200; ++j)
                ASSERT_EQ(met.attended[static_cast<std::size_t>(i * 200 + j)], 0);
        }
        EXPECT_LE(most, 31);
        // 200 = 12·16 + 8: the first chunk sees its own 15 others, not the last chunk's.
        EXPECT_EQ(least, causal ? 1 : 15);
    }
}

TEST(Recall, CountsWhatWasMet) {
    using Rows = std::vector<std::vector<float>>;
    // The strongest other of token 0 is 1, and conversely; those of token 2 are alike, and the earlier counts.
    const Rows exact{{0.5f, 0.4f, 0.1f}, {0.4f, 0.5f, 0.1f}, {0.2f, 0.2f, 0.6f}};
    const auto recallOf = [&](const Rows& map, bool causal, std::int64_t k) {
        TopKeyRecall recall(causal, k);
        for (std::size_t i = 0; i < map.size(); ++i) recall.add(static_cast<std::int64_t>(i), exact[i], map[i]);
        return recall.value();
    };
    EXPECT_EQ(recallOf({{0, 1, 0}, {1, 0, 0}, {1, 0, 0}}, false, 1), 1.0);
    EXPECT_EQ(recallOf({{0, 1, 0}, {0, 0, 1}, {-1, 0, 0}}, false, 1), 2.0 / 3.0);
    EXPECT_EQ(recallOf({{0, 0, 0}, {1, 0, 0}, {1, 0, 0}}, true, 16), 2.0 / 3.0);
    EXPECT_TRUE(std::isnan(recallOf({{1, 0, 0}}, true, 16)));                         // no key to be seen
    EXPECT_TRUE(std::isnan(recallOf({{0, 1, 1}, {1, 0, 1}, {1, 1, 0}}, false, 16)));  // all are
    EXPECT_THROW(recallOf({{1, 0}}, false, 1), Error);
}

TEST(Recall, GrowsWithRoundsAndIsHighWhereTokensCluster) {
    const std::vector<float> random = tokens(512, 32, 0), clustered = tokens(512, 32, 16);
    double before = 0;
    for (const std::int64_t rounds : {1, 2, 4, 8}) {
        const double one = meet(rounds, 32, false, random, 32).recall,
                     two = meet(rounds, 32, false, clustered, 32).recall;
        std::printf("512 tokens, 16 buckets, chunk 32, %d rounds: random %.3f, 16 clusters %.3f\n",
                    static_cast<int>(rounds), one, two);
        EXPECT_GT(one, before);
        EXPECT_GT(two, one);
        before = one;
    }
}

}  // namespace
}  // namespace linscope
