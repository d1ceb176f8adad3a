#include "core/analysis/maps.h"

#include <gmock/gmock.h>

#include <cmath>

#include "core/analysis/implied_map.h"
#include "core/attention/mechanism.h"
#include "core/base/error.h"
#include "core/base/random.h"

namespace linscope {
namespace {

constexpr std::int64_t kLength = 70, kWidth = 8, kSlots = 9, kHeads = 2, kSamples = 2;

Snapshot randomSnapshot(const char* mechanism) {
    Random random(3, "snapshot");
    const auto draw = [&](std::int64_t count) {
        std::vector<float> values(static_cast<std::size_t>(count));
        for (float& x : values) x = static_cast<float>(random.normal());
        return values;
    };
    Snapshot s;
    s.mechanism = mechanism;
    s.samples = kSamples;
    s.heads = kHeads;
    s.length = kLength;
    s.headWidth = kWidth;
    s.layers.resize(1);
    for (auto* values : {&s.layers[0].q, &s.layers[0].k, &s.layers[0].v})
        *values = draw(kSamples * kHeads * kLength * kWidth);
    s.projections = {{"E", 0, -1, kSlots, kLength, draw(kSlots * kLength)},
                     {"F", 0, -1, kSlots, kLength, draw(kSlots * kLength)}};
    return s;
}

double entry(const std::vector<float>& x, int sample, int head, std::int64_t t, std::int64_t d) {
    return static_cast<double>(x[static_cast<std::size_t>(((sample * kHeads + head) * kLength + t) * kWidth + d)]);
}

// The definition, entry by entry in double: softmax over `scores`.
std::vector<double> softmaxOf(std::vector<double> scores) {
    double sum = 0;
    for (double& s : scores) sum += s = std::exp(s / std::sqrt(double(kWidth)));
    for (double& s : scores) s /= sum;
    return scores;
}

TEST(Maps, FollowTheirDefinitions) {
    const Snapshot s = randomSnapshot("linformer");
    const int sample = 1, head = 1;
    const MapRequest request{.head = head, .sample = sample};
    const auto map = [&](MapKind kind) {
        MapRequest r = request;
        r.kind = kind;
        return attentionMap(s, r);
    };
    const AttentionMap exact = map(MapKind::Exact), compressed = map(MapKind::Compressed),
                       lifted = map(MapKind::Lifted), difference = map(MapKind::Difference);
    EXPECT_EQ(compressed.matrix.cols, kSlots);
    EXPECT_EQ(compressed.colAxis, "slot");
    EXPECT_TRUE(lifted.isSigned);
    EXPECT_FALSE(exact.isSigned);
    EXPECT_EQ(exact.pooling, "none");
    const auto& e = s.projections[0].values;
    const auto& f = s.projections[1].values;
    for (const std::int64_t row : {0, 33, 69}) {
        std::vector<double> scores, slotScores;
        for (std::int64_t j = 0; j < kLength; ++j) {
            double dot = 0;
            for (std::int64_t d = 0; d < kWidth; ++d)
                dot += entry(s.layers[0].q, sample, head, row, d) * entry(s.layers[0].k, sample, head, j, d);
            scores.push_back(dot);
        }
        for (std::int64_t slot = 0; slot < kSlots; ++slot) {
            double dot = 0;
            for (std::int64_t j = 0; j < kLength; ++j)
                dot += double(e[static_cast<std::size_t>(slot * kLength + j)]) * scores[static_cast<std::size_t>(j)];
            slotScores.push_back(dot);
        }
        const auto p = softmaxOf(scores), pBar = softmaxOf(slotScores);
        for (std::int64_t j = 0; j < kLength; ++j) {
            double l = 0;
            for (std::int64_t slot = 0; slot < kSlots; ++slot)
                l += pBar[static_cast<std::size_t>(slot)] * double(f[static_cast<std::size_t>(slot * kLength + j)]);
            EXPECT_NEAR(exact.matrix.at(row, j), p[static_cast<std::size_t>(j)], 1e-5);
            EXPECT_NEAR(lifted.matrix.at(row, j), l, 1e-4);
            EXPECT_NEAR(difference.matrix.at(row, j), l - p[static_cast<std::size_t>(j)], 1e-4);
        }
        for (std::int64_t slot = 0; slot < kSlots; ++slot)
            EXPECT_NEAR(compressed.matrix.at(row, slot), pBar[static_cast<std::size_t>(slot)], 1e-4);
    }
}

TEST(Maps, PoolingKeepsTheGreatestOfEachBlock) {
    const Snapshot s = randomSnapshot("linformer");
    const AttentionMap whole = attentionMap(s, {}), pooled = attentionMap(s, {.maxSide = 20});
    EXPECT_EQ(pooled.rowBlock, 4);
    EXPECT_EQ(pooled.matrix.rows, 18);
    EXPECT_EQ(pooled.pooling, "max");
    for (std::int64_t i = 0; i < pooled.matrix.rows; ++i)
        for (std::int64_t j = 0; j < pooled.matrix.cols; ++j) {
            float greatest = 0;
            for (std::int64_t r = i * 4; r < std::min<std::int64_t>(i * 4 + 4, kLength); ++r)
                for (std::int64_t c = j * 4; c < std::min<std::int64_t>(j * 4 + 4, kLength); ++c)
                    greatest = std::max(greatest, whole.matrix.at(r, c));
            // Products of other numbers of rows may add in another order.
            ASSERT_FLOAT_EQ(pooled.matrix.at(i, j), greatest);
        }
    EXPECT_EQ(attentionMap(s, {.kind = MapKind::Lifted, .maxSide = 20}).pooling, "abs-max");
}

TEST(Maps, FullAttentionHasTheExactMapOnly) {
    const Snapshot s = randomSnapshot("full");
    EXPECT_TRUE(hasMap(s, MapKind::Exact));
    EXPECT_FALSE(hasMap(s, MapKind::Lifted));
    EXPECT_THROW(attentionMap(s, {.kind = MapKind::Compressed}), Error);
    EXPECT_THROW(attentionMap(s, {.layer = 1}), Error);
    EXPECT_THROW(attentionMap(s, {.head = -1}), Error);
}

// The map found by pushing unit values through the mechanism is the one known in closed form.
TEST(Maps, TheImpliedMapIsTheLiftedOne) {
    Snapshot s = randomSnapshot("linformer");
    s.options = {{"k", std::vector<std::int64_t>{kSlots}}, {"sharing", std::string("headwise")}};
    const Matrix implied = impliedMap(s, 0, 1, 1);
    const AttentionMap lifted = attentionMap(s, {.kind = MapKind::Lifted, .head = 1, .sample = 1});
    ASSERT_EQ(implied.values.size(), lifted.matrix.values.size());
    for (std::size_t i = 0; i < implied.values.size(); ++i)
        ASSERT_NEAR(implied.values[i], lifted.matrix.values[i], 1e-4);
}

// An output that is divided by its own size is not linear in the values: a map found with unit values would not be its.
TEST(Maps, NormalisedOutputsHaveNoTokenMap) {
    const auto lane = [](const char* mechanism, OptionValues options) {
        Snapshot s = randomSnapshot(mechanism);
        s.projections.clear();
        s.causal = true;
        s.options = std::move(options);
        ParameterStore store(1);
        s.parameters =
            findMechanism(mechanism)
                .create(s.options, {.heads = kHeads, .headWidth = kWidth, .length = kLength, .causal = true}, store)
                ->parameterValues(store);
        return s;
    };
    const OptionValue plan = std::string("linear(normalise=false)*1 + full");
    for (const Snapshot& s : {lane("linear", {{"normalise", false}}), lane("retention", {}), lane("gated_delta", {}),
                              lane("hybrid", {{"plan", plan}})}) {
        EXPECT_TRUE(hasMap(s, MapKind::Exact));
        EXPECT_NO_THROW(attentionMap(s, {}));
        EXPECT_FALSE(hasMap(s, MapKind::Lifted));
        EXPECT_THAT(mapAbsence(s, MapKind::Difference), testing::HasSubstr("divide"));
        EXPECT_THROW(attentionMap(s, {.kind = MapKind::Lifted}), Error);
        EXPECT_THROW(headFidelity(s, 0, 0, 0), Error);
        EXPECT_THROW(impliedMap(s, 0, 0, 0), Error);
    }
    for (const Snapshot& s :
         {lane("linear", {}), lane("retention", {{"normalise", false}}), lane("gated_delta", {{"normalise", false}})}) {
        EXPECT_TRUE(hasMap(s, MapKind::Lifted));
        EXPECT_NO_THROW(attentionMap(s, {.kind = MapKind::Lifted}));
    }
}

// Slots of blocks are fewer than the rank of a map that sees its own block exactly: there is no bound to show.
TEST(Fidelity, HasNoRankBoundWhereSlotsAreOfBlocks) {
    Snapshot s = randomSnapshot("linformer_causal");
    s.causal = true;
    s.options = {{"block", std::int64_t{10}}, {"slots", std::int64_t{4}}, {"sharing", std::string("headwise")}};
    for (Projection& p : s.projections) {
        p.slots = 4;
        p.length = 10;
        p.values.resize(40);
    }
    const HeadFidelity f = headFidelity(s, 0, 1, 0);
    EXPECT_TRUE(std::isnan(f.rankBound));
    EXPECT_GT(f.outputError, 0);
    const AttentionMap exact = attentionMap(s, {}), lifted = attentionMap(s, {.kind = MapKind::Lifted});
    for (std::int64_t i = 0; i < 10; ++i)  // the first block has nothing before it
        for (std::int64_t j = 0; j < kLength; ++j) EXPECT_NEAR(lifted.matrix.at(i, j), exact.matrix.at(i, j), 1e-6);
    EXPECT_EQ(lifted.matrix.at(30, 31), 0);
}

// Nor where one block is the whole sequence: all of it is seen exactly, whatever F says.
TEST(Fidelity, HasNoRankBoundWhereThereIsOneBlock) {
    Snapshot s = randomSnapshot("linformer_causal");
    s.causal = true;
    s.options = {{"block", std::int64_t{kLength}}, {"slots", std::int64_t{4}}, {"sharing", std::string("headwise")}};
    for (Projection& p : s.projections) {
        p.slots = 4;
        p.length = kLength;
        p.values.resize(4 * kLength);
    }
    const HeadFidelity f = headFidelity(s, 0, 1, 0);
    EXPECT_TRUE(std::isnan(f.rankBound));
    EXPECT_LT(f.mapError, 1e-6);  // below any bound of rank 4
}

// The exact map of a decoder's head, with ALiBi, is what full attention itself does.
TEST(Maps, TheExactMapKnowsDirectionAndDistance) {
    for (const Position position : {Position::None, Position::Alibi, Position::RelativeBias}) {
        Snapshot s = randomSnapshot("full");
        s.causal = true;
        s.position = position;
        s.projections.clear();
        if (position == Position::RelativeBias) {
            Projection table{"relative_bias", -1, -1, kHeads, kRelativeBuckets, {}};
            for (int i = 0; i < kHeads * kRelativeBuckets; ++i) table.values.push_back(std::sin(float(i)));
            s.projections.push_back(table);
        }
        const Matrix implied = impliedMap(s, 0, 1, 0);
        const AttentionMap exact = attentionMap(s, {.head = 1});
        EXPECT_EQ(exact.matrix.at(3, 4), 0);
        for (std::size_t i = 0; i < implied.values.size(); ++i)
            ASSERT_NEAR(implied.values[i], exact.matrix.values[i], 1e-5) << nameOf(position);
    }
}

// A window that reaches over all tokens is exact attention with the bias that it has learned.
TEST(Maps, TheExactMapKnowsTheBiasOfAWindow) {
    Snapshot s = randomSnapshot("window");
    s.options = {{"window", std::int64_t{kLength}}};
    s.position = Position::RelativeBias;
    s.projections.clear();
    ParameterValues table{"attention.relative_bias", {kHeads, kRelativeBuckets}, {}};
    for (int i = 0; i < kHeads * kRelativeBuckets; ++i) table.values.push_back(std::sin(float(i)));
    s.parameters = {table};
    const AttentionMap difference = attentionMap(s, {.kind = MapKind::Difference, .head = 1});
    for (const float d : difference.matrix.values) ASSERT_NEAR(d, 0, 1e-5);
}

// With as many slots as tokens and E = F = identity, Linformer is exact.
TEST(Fidelity, IsPerfectForTheIdentity) {
    Snapshot s = randomSnapshot("linformer");
    for (Projection& p : s.projections) {
        p.slots = kLength;
        p.values.assign(kLength * kLength, 0.0f);
        for (std::int64_t i = 0; i < kLength; ++i) p.values[static_cast<std::size_t>(i * kLength + i)] = 1;
    }
    const HeadFidelity f = headFidelity(s, 0, 0, 0);
    EXPECT_NEAR(f.outputError, 0, 1e-5);
    EXPECT_NEAR(f.mapError, 0, 1e-5);
    EXPECT_NEAR(f.rankBound, 0, 1e-6);
    EXPECT_NEAR(f.negativeMass, 0, 1e-7);
    EXPECT_NEAR(f.rowSumError, 0, 1e-5);
}

// Divergences are of probabilities: a signed map has none, one that leaves keys out is infinitely far by one of them.
TEST(Fidelity, HasDivergencesWhereRowsAreProbabilities) {
    Snapshot s = randomSnapshot("window");
    s.projections.clear();
    s.options = {{"window", std::int64_t{9}}};
    const HeadFidelity f = headFidelity(s, 0, 1, 0);
    EXPECT_TRUE(std::isinf(f.klDivergence));
    const AttentionMap exact = attentionMap(s, {.head = 1}),
                       lifted = attentionMap(s, {.kind = MapKind::Lifted, .head = 1});
    double js = 0;
    for (std::size_t i = 0; i < exact.matrix.values.size(); ++i) {
        const double p = static_cast<double>(exact.matrix.values[i]), l = static_cast<double>(lifted.matrix.values[i]);
        if (p > 0) js += p / 2 * std::log2(2 * p / (p + l));
        if (l > 0) js += l / 2 * std::log2(2 * l / (p + l));
    }
    EXPECT_NEAR(f.jsDivergence, js / kLength, 1e-6);
    EXPECT_LE(f.jsDivergence, 1);
    const HeadFidelity linformer = headFidelity(randomSnapshot("linformer"), 0, 1, 0);
    EXPECT_TRUE(std::isnan(linformer.klDivergence) && std::isnan(linformer.jsDivergence));
}

// Reformer stands for attention to the other tokens with queries as keys: one chunk of all of them is just that.
TEST(Fidelity, OfReformerIsToSharedKeys) {
    for (const bool causal : {false, true})
        for (const std::int64_t chunk : {kLength, std::int64_t{8}}) {
            Snapshot s = randomSnapshot("reformer");
            s.projections.clear();
            s.causal = causal;
            s.options = {{"chunk", chunk}, {"buckets", std::int64_t{16}}, {"rounds", std::int64_t{2}}};
            ParameterStore store(1);
            const AttentionSizes sizes{.heads = kHeads, .headWidth = kWidth, .length = kLength, .causal = causal};
            s.parameters = findMechanism("reformer").create(s.options, sizes, store)->parameterValues(store);
            const HeadFidelity f = headFidelity(s, 0, 1, 0);
            const AttentionMap exact = attentionMap(s, {.head = 1});
            EXPECT_EQ(exact.matrix.at(5, 5), 0);
            EXPECT_EQ(exact.matrix.at(0, 0), causal ? 1 : 0);  // alone
            if (chunk == kLength && !causal) {                 // its causal form has chunks of each bucket
                EXPECT_LT(f.mapError, 1e-5);
                EXPECT_NEAR(f.klDivergence, 0, 1e-5);
                EXPECT_TRUE(std::isnan(f.topKeyRecall));
            } else {
                EXPECT_GT(f.mapError, 0.1);
                EXPECT_GT(f.topKeyRecall, 0.2);
                EXPECT_LT(f.topKeyRecall, 1.0);
            }
        }
}

// Eckart–Young: no map of rank K, Linformer's included, is closer than the bound.
TEST(Fidelity, BoundIsBelowTheMapError) {
    const HeadFidelity f = headFidelity(randomSnapshot("linformer"), 0, 1, 0);
    EXPECT_GT(f.rankBound, 0);
    EXPECT_LT(f.rankBound, f.mapError);
    EXPECT_GT(f.negativeMass, 0);
    EXPECT_THROW(headFidelity(randomSnapshot("full"), 0, 0, 0), Error);
}

// A long head costs no more than its rows do: its singular values would take minutes, and hours beyond.
TEST(Fidelity, OfManyTokensHasNoBound) {
    Snapshot s = randomSnapshot("linformer");
    s.length = kLongestRanked + 1;
    s.samples = 1;
    for (LayerSnapshot& layer : s.layers)
        for (auto* values : {&layer.q, &layer.k, &layer.v})
            values->assign(static_cast<std::size_t>(kHeads * s.length * kWidth), 0.1f);
    for (Projection& p : s.projections) {
        p.length = s.length;
        p.values.assign(static_cast<std::size_t>(p.slots * s.length), 1.0f / static_cast<float>(s.length));
    }
    const HeadFidelity f = headFidelity(s, 0, 0, 0);
    EXPECT_NEAR(f.outputError, 0, 1e-4);
    EXPECT_TRUE(std::isnan(f.rankBound));
}

TEST(Maps, AreGivenUpWhenAsked) {
    std::stop_source source;
    source.request_stop();
    const Snapshot s = randomSnapshot("linformer");
    EXPECT_THROW(attentionMap(s, {}, source.get_token()), Error);
    EXPECT_THROW(headFidelity(s, 0, 0, 0, source.get_token()), Error);
}

}  // namespace
}  // namespace linscope
