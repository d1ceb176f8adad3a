#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/data/synthetic_task.h"
#include "temp_folder.h"

namespace linscope {

inline bool sameBatch(const Batch& a, const Batch& b) {
    return a.tokens == b.tokens && a.selected == b.selected && a.targets == b.targets && a.keep == b.keep;
}

/// What holds for every generated task: shapes, ranges, the cursor, validation apart from training.
inline void checkSyntheticTask(const TaskInfo& info, const OptionValues& options) {
    SCOPED_TRACE(info.name);
    const auto task = info.create(options, 1), again = info.create(options, 1), other = info.create(options, 2);
    Batch batch, expected;
    std::set<std::vector<std::int32_t>> trained;
    const auto rows = [](const Batch& from) {
        std::set<std::vector<std::int32_t>> result;
        for (std::int64_t b = 0; b < from.batch; ++b)
            result.emplace(from.tokens.begin() + b * from.length, from.tokens.begin() + (b + 1) * from.length);
        return result;
    };
    for (int i = 0; i < 40; ++i) {
        task->nextBatch(batch);
        again->nextBatch(expected);
        ASSERT_TRUE(sameBatch(batch, expected)) << "one seed, one stream";
        ASSERT_EQ(batch.batch, task->batch());
        ASSERT_EQ(batch.length, task->length());
        ASSERT_EQ(batch.tokens.size(), static_cast<std::size_t>(batch.batch * batch.length));
        ASSERT_FALSE(batch.selected.empty());
        ASSERT_EQ(batch.selected.size(), batch.targets.size());
        ASSERT_TRUE(std::ranges::is_sorted(batch.selected));
        for (const std::int32_t token : batch.tokens) ASSERT_TRUE(token >= 0 && token < task->vocabulary());
        for (const std::int32_t target : batch.targets) ASSERT_TRUE(target >= 0 && target < task->outputs());
        for (const std::int64_t place : batch.selected)
            ASSERT_TRUE(place >= 0 && place < batch.batch * batch.length &&
                        (batch.keep.empty() || batch.keep[static_cast<std::size_t>(place)] == 1));
        if (info.pooled) {
            for (std::int64_t b = 0; b < batch.batch; ++b)
                ASSERT_EQ(batch.selected[static_cast<std::size_t>(b)], b * batch.length);
        }
        trained.merge(rows(batch));
    }
    other->nextBatch(expected);
    again->nextBatch(batch);
    EXPECT_FALSE(sameBatch(batch, expected)) << "another seed, another stream";
    trained.merge(rows(expected));

    const Random::State cursor = task->cursor();
    for (int i = 0; i < 10; ++i) {
        task->validationBatch(i, batch);
        again->validationBatch(i, expected);
        ASSERT_TRUE(sameBatch(batch, expected));
        for (const auto& row : rows(batch)) ASSERT_FALSE(trained.contains(row)) << "held out";
    }
    again->validationBatch(0, expected);
    EXPECT_FALSE(sameBatch(batch, expected));
    EXPECT_EQ(task->cursor(), cursor) << "validation leaves the training stream alone";
    const auto fresh = info.create(options, 99);
    fresh->setCursor(cursor);
    for (int i = 0; i < 5; ++i) {
        task->nextBatch(expected);
        fresh->nextBatch(batch);
        ASSERT_TRUE(sameBatch(batch, expected)) << "the cursor is all that decides";
    }
    for (std::int32_t token = 0; token < task->vocabulary(); ++token) EXPECT_FALSE(task->tokenText(token).empty());
    EXPECT_THROW(task->tokenText(-1), Error);
    EXPECT_THROW(task->tokenText(static_cast<std::int32_t>(task->vocabulary())), Error);
    EXPECT_THROW(task->validationBatch(-1, batch), Error);
    EXPECT_FALSE(task->description().empty());
    for (const TaskBaseline& line : task->baselines())
        EXPECT_TRUE(line.metric == "validation_accuracy" || line.metric == "validation_loss") << line.metric;
}

/// Within five standard deviations of a binomial share: one run in a million would be outside.
inline void expectShare(double count, double trials, double share, std::string_view what) {
    EXPECT_NEAR(count / trials, share, 5 * std::sqrt(share * (1 - share) / trials)) << what;
}

}  // namespace linscope
