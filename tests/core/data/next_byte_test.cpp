#include "core/data/next_byte/next_byte.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <set>

#include "temp_folder.h"

namespace linscope {
namespace {

using testing::HasSubstr;

/// Text in which every window of four bytes stands at one place only.
TextSource numbered(std::size_t count) {
    TextSource source;
    source.name = "numbered";
    for (std::size_t i = 0; i < count; ++i) {
        source.text += static_cast<char>(128 + i / 64 % 64);
        source.text += static_cast<char>(i % 64);
    }
    source.lines = 1;
    return source;
}

NextByteOptions small() {
    NextByteOptions options;
    options.length = 64;
    options.batch = 4;
    options.validationFraction = 0.25;
    return options;
}

bool same(const Batch& a, const Batch& b) {
    return a.tokens == b.tokens && a.selected == b.selected && a.targets == b.targets;
}

/// The T + 1 bytes of sequence b: its tokens and the last target.
std::string window(const Batch& batch, std::int64_t b) {
    std::string text;
    for (std::int64_t t = 0; t < batch.length; ++t)
        text += static_cast<char>(batch.tokens[static_cast<std::size_t>(b * batch.length + t)]);
    return text + static_cast<char>(batch.targets[static_cast<std::size_t>((b + 1) * batch.length - 1)]);
}

TEST(NextByte, EveryPlaceIsAskedForTheByteAfterIt) {
    NextByte task(small(), 1, numbered(2000));
    Batch batch;
    for (int i = 0; i < 50; ++i) {
        if (i % 2)
            task.nextBatch(batch);
        else
            task.validationBatch(i, batch);
        ASSERT_EQ(batch.tokens.size(), 4u * 64u);
        ASSERT_EQ(batch.selected.size(), 4u * 64u);
        ASSERT_EQ(batch.targets.size(), 4u * 64u);
        for (std::size_t n = 0; n < batch.selected.size(); ++n) {
            ASSERT_EQ(batch.selected[n], static_cast<std::int64_t>(n));
            if (n % 64 != 63) {
                ASSERT_EQ(batch.targets[n], batch.tokens[n + 1]);
            }
        }
    }
}

TEST(NextByte, WindowsStayInTheirPart) {
    NextByte task(small(), 1, numbered(1000));
    const std::string training(task.text().training()), heldOut(task.text().heldOut());
    ASSERT_EQ(training.size(), 1500u);
    ASSERT_EQ(heldOut.size(), 500u);
    std::set<std::size_t> starts;
    Batch batch;
    for (int i = 0; i < 2000; ++i) {
        task.nextBatch(batch);
        for (std::int64_t b = 0; b < 4; ++b) {
            const auto at = training.find(window(batch, b));
            ASSERT_NE(at, std::string::npos);
            starts.insert(at);
        }
        task.validationBatch(i, batch);
        for (std::int64_t b = 0; b < 4; ++b) ASSERT_NE(heldOut.find(window(batch, b)), std::string::npos);
    }
    EXPECT_EQ(*starts.begin(), 0u);
    EXPECT_EQ(*starts.rbegin(), 1500u - 65u) << "the last window, with its last target, ends where the part ends";
}

TEST(NextByte, CursorAndSeedDecideTheBatches) {
    NextByte task(small(), 1, numbered(2000)), other(small(), 2, numbered(2000));
    Batch batch, again;
    for (int i = 0; i < 7; ++i) task.nextBatch(batch);
    const Random::State cursor = task.cursor();
    task.nextBatch(batch);
    NextByte fresh(small(), 1, numbered(2000));
    fresh.setCursor(cursor);
    fresh.nextBatch(again);
    EXPECT_TRUE(same(batch, again));
    other.setCursor(Random(2, "next_byte.training").state());
    other.nextBatch(again);
    EXPECT_FALSE(same(batch, again));

    const Random::State before = task.cursor();
    task.validationBatch(3, batch);
    fresh.validationBatch(3, again);
    EXPECT_TRUE(same(batch, again));
    EXPECT_EQ(task.cursor(), before) << "validation leaves the training stream alone";
    task.validationBatch(4, again);
    EXPECT_FALSE(same(batch, again));
    EXPECT_THAT(errorOf([&] { task.validationBatch(-1, batch); }), HasSubstr("0 or more, but is -1"));
}

TEST(NextByte, AWindowHasOneByteMoreThanItsLength) {
    NextByteOptions options = small();
    options.length = 499;
    EXPECT_EQ(errorOf([&] { NextByte(options, 1, numbered(1000)); }), "no error");
    options.length = 500;
    EXPECT_EQ(errorOf([&] { NextByte(options, 1, numbered(1000)); }),
              "[next_byte] task.length = 500 and 1 more must fit into the held-out part of \"numbered\", but that has "
              "500 bytes (25 % of 2000); give a smaller length, a larger task.validation_fraction or more text");
}

TEST(NextByte, TextBecomesTokensAndTokensText) {
    const NextByte task(small(), 1, numbered(2000));
    const std::string text("a\xC3\xA9\0\n", 5);
    const auto tokens = task.tokensOf(text);
    ASSERT_TRUE(tokens);
    EXPECT_THAT(*tokens, testing::ElementsAre('a', 0xC3, 0xA9, 0, '\n'));
    std::string back;
    for (const std::int32_t token : *tokens) back += task.textOf(token).value();
    EXPECT_EQ(back, text);
    EXPECT_THROW(task.textOf(256), Error);
    EXPECT_THROW(task.tokenText(-1), Error);
    EXPECT_EQ(task.tokenText('\n'), "⏎");
}

TEST(ByteBits, AreWhatTheoryGives) {
    std::string even;
    for (int i = 0; i < 1 << 18; ++i) even += "ab";
    EXPECT_NEAR(unigramBits(even, even), 1, 1e-3);
    EXPECT_NEAR(bigramBits(even, even), 0, 1e-3) << "each byte says the next";
    EXPECT_TRUE(std::isfinite(bigramBits(std::string(1000, 'a'), "bcb"))) << "nothing is impossible";
    Random random(1, "bits");
    std::string drawn;
    for (int i = 0; i < 1 << 20; ++i) drawn += static_cast<char>('a' + random.below(4));
    EXPECT_NEAR(bigramBits(drawn, drawn), 2, 1e-2) << "a byte that says nothing of the next";
}

TEST(NextByte, IsRegisteredForDecodersAlone) {
    TempFolder folder;
    const std::string file = folder.write("a.txt", std::string(4000, 'x'));
    const TaskInfo& info = findTask("next_byte");
    EXPECT_TRUE(info.needsCausal);
    EXPECT_FALSE(info.pooled);
    const auto task = info.create({{"corpus", file}, {"length", std::int64_t{32}}}, 1);
    EXPECT_EQ(task->vocabulary(), 256);
    EXPECT_EQ(task->outputs(), 256);
    EXPECT_EQ(task->description(), file + ": 4.0 kB, 1 line, 5 % held out");
}

TEST(NextByte, BaselinesOfTheBibleAreTheOraclesOfTheReadme) {
    if (std::system("command -v bible > /dev/null") != 0) GTEST_SKIP() << "the program \"bible\" is not installed";
    const auto baselines = NextByte(NextByteOptions{}, 1).baselines();
    ASSERT_EQ(baselines.size(), 2u);
    EXPECT_EQ(baselines[0].metric, "validation_bits_per_byte");
    EXPECT_NEAR(baselines[0].value, 4.518449, 1e-5);
    EXPECT_NEAR(baselines[1].value, 3.489690, 1e-5);
}

}  // namespace
}  // namespace linscope
