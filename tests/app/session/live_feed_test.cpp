#include "app/session/live_feed.h"

#include <gtest/gtest.h>

namespace linscope::app {
namespace {

std::shared_ptr<Snapshot> snapshot(int lane, std::int64_t step) {
    auto result = std::make_shared<Snapshot>();
    result->lane = lane;
    result->step = step;
    return result;
}

TEST(LiveFeed, WakesOnceUntilTaken) {
    int woken = 0;
    LiveFeed feed([&] { ++woken; });
    feed.onEvent(StepEvent{.step = 1});
    feed.onEvent(StepEvent{.step = 2});
    EXPECT_EQ(woken, 1);
    EXPECT_EQ(feed.take().events.size(), 2U);
    feed.onEvent(StepEvent{.step = 3});
    EXPECT_EQ(woken, 2);
}

TEST(LiveFeed, KeepsTheNewestSnapshotOfEachLane) {
    LiveFeed feed({});
    feed.onEvent(SnapshotEvent{snapshot(0, 1), false});
    feed.onEvent(SnapshotEvent{snapshot(1, 1), false});
    feed.onEvent(SnapshotEvent{snapshot(0, 2), true});
    const LiveFeed::Batch batch = feed.take();
    ASSERT_EQ(batch.snapshots.size(), 2U);
    EXPECT_EQ(batch.snapshots.at(0)->step, 2);
    EXPECT_EQ(batch.snapshots.at(1)->step, 1);
    // That one of them was stored is an event, without its numbers.
    ASSERT_EQ(batch.events.size(), 1U);
    EXPECT_EQ(std::get<SnapshotEvent>(batch.events[0]).snapshot->step, 2);
}

TEST(LiveFeed, CountsWhatDoesNotFit) {
    LiveFeed feed({}, 3);
    for (int i = 0; i < 5; ++i) feed.onEvent(StepEvent{.step = i});
    LiveFeed::Batch batch = feed.take();
    EXPECT_EQ(batch.events.size(), 3U);
    EXPECT_EQ(batch.lost, 2);
    EXPECT_EQ(feed.take().lost, 0);
}

}  // namespace
}  // namespace linscope::app
