#include "core/data/needle/needle.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "temp_folder.h"

namespace linscope {
namespace {

using testing::HasSubstr;

NeedleOptions small() {
    NeedleOptions options;
    options.length = 96;
    options.batch = 4;
    return options;
}

/// Sequence b with the value's last byte, which the model is only asked for.
std::string textOf(const Batch& batch, std::int64_t b) {
    std::string text;
    for (std::int64_t t = 0; t < batch.length; ++t)
        text += static_cast<char>(batch.tokens[static_cast<std::size_t>(b * batch.length + t)]);
    const std::size_t each = batch.targets.size() / static_cast<std::size_t>(batch.batch);
    return text + static_cast<char>(batch.targets[(static_cast<std::size_t>(b) + 1) * each - 1]);
}

TEST(Needle, TheQueriedKeyStandsOnceBeforeWithTheValueThatIsAskedFor) {
    for (const std::int64_t needles : {1, 4}) {
        NeedleOptions options = small();
        options.needles = needles;
        Needle task(options, 1);
        Batch batch;
        for (int i = 0; i < 100; ++i) {
            if (i % 2)
                task.nextBatch(batch);
            else
                task.validationBatch(i, batch);
            ASSERT_EQ(batch.tokens.size(), 4u * 96u);
            ASSERT_EQ(batch.selected.size(), 16u);
            ASSERT_EQ(batch.targets.size(), 16u);
            for (std::int64_t b = 0; b < 4; ++b) {
                const std::string text = textOf(batch, b);
                ASSERT_EQ(text.size(), 97u);
                EXPECT_EQ(std::ranges::count(text, '='), needles + 1);
                ASSERT_EQ(text.substr(86, 2), "\n?");
                const std::string key = text.substr(88, 4), value = text.substr(93);
                EXPECT_EQ(text[92], '=');
                const std::string needle = "\n" + key + "=" + value + "\n";
                const auto found = text.find(needle);
                ASSERT_NE(found, std::string::npos) << text;
                EXPECT_EQ(text.find(needle, found + 1), std::string::npos);
                for (std::size_t n = 0; n < 4; ++n) {
                    const std::size_t at = static_cast<std::size_t>(b) * 4 + n;
                    EXPECT_EQ(batch.targets[at], value[n]);
                    EXPECT_EQ(batch.selected[at], b * 96 + 92 + static_cast<std::int64_t>(n))
                        << "each byte is asked for at the place before it";
                }
            }
        }
    }
}

TEST(Needle, LiesAtTheDepthThatIsWanted) {
    NeedleOptions options = small();
    Batch batch;
    const std::size_t hay = 96 - 11 - 10;
    for (const double depth : {0.0, 0.5, 1.0}) {
        options.depth = depth;
        Needle task(options, 1);
        for (int i = 0; i < 20; ++i) {
            task.nextBatch(batch);
            EXPECT_EQ(textOf(batch, 0).find('\n'), static_cast<std::size_t>(std::llround(depth * hay)));
            task.validationBatch(i, batch);
            EXPECT_EQ(textOf(batch, 1).find('\n'), static_cast<std::size_t>(std::llround(depth * hay)));
        }
    }
    options.depth = -1;
    Needle task(options, 1);
    std::set<std::size_t> training, validation;
    for (int i = 0; i < 500; ++i) {
        task.nextBatch(batch);
        training.insert(textOf(batch, 0).find('\n'));
        task.validationBatch(i, batch);
        for (std::int64_t b = 0; b < 4; ++b) validation.insert(textOf(batch, b).find('\n'));
    }
    EXPECT_GT(training.size(), 70u) << "any depth of 76";
    EXPECT_EQ(validation.size(), 11u) << "the same eleven depths";
    EXPECT_EQ(*validation.begin(), 0u);
    EXPECT_EQ(*validation.rbegin(), hay);
}

TEST(Needle, CursorAndSeedDecideTheBatches) {
    Needle task(small(), 1), fresh(small(), 1), other(small(), 2);
    Batch batch, again;
    for (int i = 0; i < 5; ++i) task.nextBatch(batch);
    fresh.setCursor(task.cursor());
    task.nextBatch(batch);
    fresh.nextBatch(again);
    EXPECT_EQ(batch.tokens, again.tokens);
    task.validationBatch(1, batch);
    fresh.validationBatch(1, again);
    EXPECT_EQ(batch.tokens, again.tokens);
    other.validationBatch(1, again);
    EXPECT_NE(batch.tokens, again.tokens);
    EXPECT_THAT(errorOf([&] { task.validationBatch(-1, batch); }), HasSubstr("0 or more, but is -1"));
}

TEST(Needle, ATextCanBeTheHaystack) {
    const TempFolder folder;
    NeedleOptions options = small();
    options.haystack = "text";
    options.corpus = folder.write("a.txt", std::string(4000, 'X'));
    Needle task(options, 1);
    Batch batch;
    task.nextBatch(batch);
    EXPECT_EQ(std::ranges::count(textOf(batch, 0), 'X'), 75);
    EXPECT_THAT(task.description(), HasSubstr("1 needle in 75 bytes of text, at any depth; "));
}

TEST(Needle, SaysWhatDoesNotFit) {
    const auto error = [](const NeedleOptions& options) { return errorOf([&] { Needle(options, 1); }); };
    NeedleOptions options = small();
    options.length = 21;
    EXPECT_EQ(error(options), "no error") << "needle and query alone";
    options.length = 20;
    EXPECT_THAT(error(options), HasSubstr("must hold 1 needles of 11 bytes and a query of 10, but that is 21 bytes"));
    options = small();
    options.depth = -0.5;
    EXPECT_THAT(error(options), HasSubstr("or -1 for a uniformly drawn one, but is -0.5"));
    options = small();
    options.length = 1000;
    options.keyBytes = 1;
    options.needles = 14;
    EXPECT_THAT(error(options), HasSubstr("twice as many keys"));
}

TEST(Needle, IsRegisteredForDecodersAloneWithItsChances) {
    const TaskInfo& info = findTask("needle");
    EXPECT_TRUE(info.needsCausal);
    const auto task = info.create({{"needles", std::int64_t{4}}}, 1);
    const auto baselines = task->baselines();
    ASSERT_EQ(baselines.size(), 3u);
    EXPECT_NEAR(baselines[0].value, 0.1, 1e-12);
    EXPECT_NEAR(baselines[1].value, std::log2(10.0), 1e-12);
    EXPECT_NEAR(baselines[2].value, 0.25 + 0.075, 1e-12);
    EXPECT_EQ(task->textOf('7').value(), "7");
}

}  // namespace
}  // namespace linscope
