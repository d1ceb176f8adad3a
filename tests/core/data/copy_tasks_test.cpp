#include <gmock/gmock.h>

#include "core/data/copy/copy.h"
#include "core/data/induction/induction.h"
#include "core/data/selective_copy/selective_copy.h"
#include "synthetic_task_check.h"

namespace linscope {
namespace {

using testing::HasSubstr;

Batch firstBatch(std::string_view name, const OptionValues& options) {
    Batch batch;
    findTask(name).create(options, 1)->nextBatch(batch);
    return batch;
}

TEST(Copy, IsATask) {
    checkSyntheticTask(findTask("copy"), {{"length", std::int64_t{16}}, {"reverse", true}});
    EXPECT_FALSE(findTask("copy").needsCausal);
}

TEST(Copy, AsksForTheWordForwardsBackwardsAndTurned) {
    for (const bool reverse : {false, true})
        for (const std::int64_t offset : {0, 3}) {
            const Batch batch =
                firstBatch("copy", {{"length", std::int64_t{10}}, {"reverse", reverse}, {"offset", offset}});
            ASSERT_EQ(batch.selected.size(), 32u * 5u);
            for (std::int64_t b = 0; b < batch.batch; ++b) {
                const std::int32_t* w = batch.tokens.data() + b * 10;
                for (int i = 0; i < 5; ++i) {
                    ASSERT_TRUE(w[i] >= 1 && w[i] <= 30);
                    ASSERT_EQ(w[5 + i], i == 0 ? 31 : 0);
                    ASSERT_EQ(batch.selected[static_cast<std::size_t>(b * 5 + i)], b * 10 + 5 + i);
                    const std::int64_t from = ((reverse ? 4 - i : i) + offset) % 5;
                    ASSERT_EQ(batch.targets[static_cast<std::size_t>(b * 5 + i)], w[from]);
                }
            }
        }
}

TEST(Copy, WhatCannotBeIsRefusedInASentence) {
    CopyOptions options;
    options.length = 9;
    EXPECT_THAT(errorOf([&] { Copy(options, 1); }), HasSubstr("task.length must be even"));
    options.length = 10;
    options.offset = 5;
    EXPECT_EQ(errorOf([&] { Copy(options, 1); }),
              "[copy] task.offset must be less than the word's 5 symbols, but is 5");
    options = {};
    options.length = 4;
    EXPECT_EQ(errorOf([&] { Copy(options, 1); }),
              "[copy] task.vocabulary = 32 with task.length = 4 must allow 1024 different sequences or more, so that "
              "some can be held out, but there are 900");
}

TEST(SelectiveCopy, IsATask) {
    checkSyntheticTask(findTask("selective_copy"), {{"length", std::int64_t{32}}, {"data", std::int64_t{5}}});
    EXPECT_FALSE(findTask("selective_copy").needsCausal);
}

TEST(SelectiveCopy, TellsTheDataTokensInOrderAndDrawsAllPlacesAlike) {
    SelectiveCopyOptions options;
    options.length = 24;
    options.data = 6;
    SelectiveCopy task(options, 1);
    std::vector<double> places(18), symbols(16);
    Batch batch;
    const int batches = 500;
    for (int step = 0; step < batches; ++step) {
        task.nextBatch(batch);
        ASSERT_EQ(batch.selected.size(), 32u * 6u);
        for (std::int64_t b = 0; b < 32; ++b) {
            const std::int32_t* tokens = batch.tokens.data() + b * 24;
            std::vector<std::int32_t> word;
            for (std::size_t t = 0; t < 18; ++t) {
                if (tokens[t] == 0) continue;
                ASSERT_LT(tokens[t], 15);
                word.push_back(tokens[t]);
                ++places[t];
                ++symbols[static_cast<std::size_t>(tokens[t])];
            }
            ASSERT_EQ(word,
                      std::vector<std::int32_t>(batch.targets.begin() + b * 6, batch.targets.begin() + b * 6 + 6));
            for (int i = 0; i < 6; ++i) {
                ASSERT_EQ(tokens[18 + i], 15) << "a marker, not the answer";
                ASSERT_EQ(batch.selected[static_cast<std::size_t>(b * 6 + i)], b * 24 + 18 + i);
            }
        }
    }
    for (const double count : places) expectShare(count, batches * 32, 6.0 / 18, "every place alike");
    for (std::size_t s = 1; s < 15; ++s) expectShare(symbols[s], batches * 32 * 6, 1.0 / 14, "every symbol alike");
}

TEST(SelectiveCopy, WhatCannotBeIsRefusedInASentence) {
    SelectiveCopyOptions options;
    options.length = 31;
    EXPECT_EQ(errorOf([&] { SelectiveCopy(options, 1); }),
              "[selective_copy] task.length must be at least twice task.data = 16, once to show the tokens and once to "
              "ask for them, but is 31");
    options.data = 2;
    EXPECT_THAT(errorOf([&] { SelectiveCopy(options, 1); }), HasSubstr("but there are 196"));
}

TEST(Induction, IsATask) {
    checkSyntheticTask(findTask("induction"), {{"length", std::int64_t{32}}});
    EXPECT_FALSE(findTask("induction").needsCausal);
}

TEST(Induction, TheAnswerStandsBehindTheFirstTrigger) {
    InductionOptions options;
    options.length = 12;
    Induction task(options, 1);
    std::vector<double> places(12), answers(15);
    Batch batch;
    const int batches = 1000;
    for (int step = 0; step < batches; ++step) {
        task.nextBatch(batch);
        ASSERT_EQ(batch.selected.size(), 32u);
        for (std::int64_t b = 0; b < 32; ++b) {
            const std::int32_t* tokens = batch.tokens.data() + b * 12;
            ASSERT_EQ(std::count(tokens, tokens + 12, 15), 2);
            ASSERT_EQ(tokens[11], 15);
            const std::int64_t first = std::find(tokens, tokens + 12, 15) - tokens;
            ASSERT_LT(first, 10) << "an ordinary token follows";
            const std::int32_t target = batch.targets[static_cast<std::size_t>(b)];
            ASSERT_EQ(target, tokens[first + 1]);
            ASSERT_EQ(batch.selected[static_cast<std::size_t>(b)], b * 12 + 11);
            ++places[static_cast<std::size_t>(first)];
            ++answers[static_cast<std::size_t>(target)];
        }
    }
    for (std::size_t t = 0; t < 10; ++t) expectShare(places[t], batches * 32, 0.1, "every place alike");
    for (const double count : answers) expectShare(count, batches * 32, 1.0 / 15, "every answer alike");
}

TEST(Induction, TooFewSequencesAreRefused) {
    InductionOptions options;
    options.length = 4;
    options.vocabulary = 16;
    EXPECT_THAT(errorOf([&] { Induction(options, 1); }), HasSubstr("but there are 450"));
}

TEST(SyntheticTasks, TokensCanBeRead) {
    const Copy copy({}, 1);
    EXPECT_EQ(copy.tokenText(0), "·");
    EXPECT_EQ(copy.tokenText(1), "a");
    EXPECT_EQ(copy.tokenText(27), "A");
    EXPECT_EQ(copy.tokenText(31), "│");
    EXPECT_EQ(SelectiveCopy({}, 1).tokenText(15), "?");
    EXPECT_EQ(Induction({}, 1).tokenText(15), "⊢");
    EXPECT_EQ(symbolText(52), "s52");
}

TEST(SyntheticTasks, OneIdentityInEightIsHeldOut) {
    double heldOut = 0;
    const std::int32_t count = 100000;
    for (std::int32_t i = 0; i < count; ++i) heldOut += isHeldOut(std::vector<std::int32_t>{i % 10, i / 10});
    expectShare(heldOut, count, 0.125, "held out");
}

}  // namespace
}  // namespace linscope
