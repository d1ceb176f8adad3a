#include "core/data/mqar/mqar.h"

#include <gmock/gmock.h>

#include <map>

#include "synthetic_task_check.h"

namespace linscope {
namespace {

using testing::HasSubstr;

MqarOptions small() {
    MqarOptions options;
    options.length = 32;
    options.batch = 8;
    options.vocabulary = 64;
    options.pairs = 4;
    return options;
}

TEST(Mqar, IsATask) {
    checkSyntheticTask(findTask("mqar"), {{"length", std::int64_t{64}}, {"vocabulary", std::int64_t{256}}});
    EXPECT_FALSE(findTask("mqar").needsCausal);
}

TEST(Mqar, EverySequenceIsADictionaryAndItsQueries) {
    for (const bool fill : {false, true}) {
        MqarOptions options = small();
        options.randomNonQueries = fill;
        Mqar task(options, 1);
        Batch batch;
        for (int step = 0; step < 100; ++step) {
            task.nextBatch(batch);
            ASSERT_EQ(batch.selected.size(), 8u * 4u);
            for (std::int64_t b = 0; b < 8; ++b) {
                const std::int32_t* tokens = batch.tokens.data() + b * 32;
                std::map<std::int32_t, std::int32_t> dictionary;
                std::set<std::int32_t> values;
                for (int i = 0; i < 4; ++i) {
                    ASSERT_TRUE(tokens[2 * i] >= 1 && tokens[2 * i] < 32);
                    ASSERT_TRUE(tokens[2 * i + 1] >= 32 && tokens[2 * i + 1] < 64);
                    dictionary[tokens[2 * i]] = tokens[2 * i + 1];
                    values.insert(tokens[2 * i + 1]);
                }
                ASSERT_EQ(dictionary.size(), 4u) << "keys without replacement";
                ASSERT_EQ(values.size(), 4u) << "values without replacement";
                std::set<std::int32_t> asked;
                for (std::size_t n = 0; n < 4; ++n) {
                    const auto at = static_cast<std::size_t>(b) * 4 + n;
                    const std::int64_t place = batch.selected[at] - b * 32;
                    ASSERT_TRUE(place >= 8 && place < 32 && place % 2 == 0);
                    ASSERT_EQ(batch.targets[at], dictionary.at(tokens[place]));
                    asked.insert(tokens[place]);
                }
                ASSERT_EQ(asked.size(), 4u) << "each key is asked for once";
                int zeros = 0;
                for (int t = 8; t < 32; ++t) zeros += tokens[t] == 0;
                if (!fill) {
                    ASSERT_EQ(zeros, 20);
                }
            }
        }
    }
}

TEST(Mqar, SlotsAreDrawnWithTheirWeights) {
    // With one pair the slot's distribution is the weights themselves; with two the second is that of what is left.
    MqarOptions options = small();
    options.pairs = 2;
    options.power = 0.01;
    const Mqar task(options, 1);
    ASSERT_EQ(task.slots(), 14);
    double total = 0;
    for (int i = 1; i <= 14; ++i) total += std::pow(i, -0.99);
    const auto p = [&](int slot) { return std::pow(slot + 1, -0.99) / total; };
    std::vector<double> first(14), second(14);
    Random random(3, "test");
    std::vector<std::int64_t> chosen;
    const int draws = 100000;
    for (int i = 0; i < draws; ++i) {
        task.drawSlots(random, chosen);
        ASSERT_EQ(chosen.size(), 2u);
        ASSERT_NE(chosen[0], chosen[1]);
        ++first[static_cast<std::size_t>(chosen[0])];
        ++second[static_cast<std::size_t>(chosen[1])];
    }
    for (int slot = 0; slot < 14; ++slot) {
        double left = 0;
        for (int other = 0; other < 14; ++other)
            if (other != slot) left += p(other) * p(slot) / (1 - p(other));
        expectShare(first[static_cast<std::size_t>(slot)], draws, p(slot), "first");
        expectShare(second[static_cast<std::size_t>(slot)], draws, left, "second");
    }
}

TEST(Mqar, BaselinesAreWhatTheoryGives) {
    MqarOptions options = small();
    options.pairs = 1;
    options.vocabulary = 128;
    EXPECT_EQ(Mqar(options, 1).placeOnlyAccuracy(), 1.0) << "one pair: there is nothing to choose";
    options.pairs = 2;
    options.length = 8;
    // Two pairs on two slots of weights 1 and w: the first pair is at the first slot with 1/(1 + w), and either way the
    // place says which it is: that is the share of both places.
    const double w = std::pow(2.0, -0.99);
    const double draws = 1 << 15;
    EXPECT_NEAR(Mqar(options, 1).placeOnlyAccuracy(), 1 / (1 + w), 5 * std::sqrt(0.25 / (draws / 2)));
    options = small();
    options.power = 1;
    options.length = 128;
    EXPECT_NEAR(Mqar(options, 1).placeOnlyAccuracy(), 0.25, 0.01) << "all places alike: the place says nothing";
    EXPECT_DOUBLE_EQ(Mqar(options, 1).baselines()[1].value, 0.25);
}

TEST(Mqar, WhatCannotBeIsRefusedInASentence) {
    MqarOptions options = small();
    options.pairs = 9;
    EXPECT_EQ(
        errorOf([&] { Mqar(options, 1); }),
        "[mqar] task.length must be at least 4 times task.pairs = 9, two tokens for a pair and two for its query, "
        "but is 32; give at least 36, or at most 8 pairs");
    options = small();
    options.length = 33;
    EXPECT_THAT(errorOf([&] { Mqar(options, 1); }), HasSubstr("task.length must be even"));
    options = small();
    options.vocabulary = 8;
    EXPECT_THAT(errorOf([&] { Mqar(options, 1); }), HasSubstr("but 8 gives 3; give at least 10"));
    options.pairs = 1;
    EXPECT_THAT(errorOf([&] { Mqar(options, 1); }), HasSubstr("must allow 1024 different sequences or more"));
    options = small();
    options.pairs = 8;
    EXPECT_EQ(errorOf([&] { Mqar(options, 1); }), "no error") << "4·8 = 32 is allowed";
}

TEST(Mqar, TokensCanBeRead) {
    const Mqar task(small(), 1);
    EXPECT_EQ(task.tokenText(0), "·");
    EXPECT_EQ(task.tokenText(31), "k31");
    EXPECT_EQ(task.tokenText(32), "v0");
}

}  // namespace
}  // namespace linscope
