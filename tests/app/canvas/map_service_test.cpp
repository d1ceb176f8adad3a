#include "viz/canvas/map_service.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <stdexcept>

#include "tests/app/canvas/synthetic_snapshot.h"

namespace linscope::viz {
namespace {

using namespace std::chrono_literals;

std::shared_ptr<const Snapshot> snapshotOf(std::int64_t step) {
    Snapshot snapshot;
    snapshot.step = step;
    snapshot.length = 2;
    return std::make_shared<const Snapshot>(std::move(snapshot));
}

AttentionMap smallMap(float value) {
    AttentionMap map;
    map.matrix = {.rows = 1, .cols = 2, .values = {value, value}};
    return map;
}

/// Work that stops at a gate until the test opens it.
struct Gate {
    std::atomic<bool> open{false}, obeys{false};
    std::atomic<int> mapsBegun{0};
    MapService::Work work() {
        return {.map =
                    [this](const Snapshot& snapshot, const MapRequest& request, const std::stop_token& stop) {
                        ++mapsBegun;
                        while (!open) {
                            std::this_thread::sleep_for(1ms);
                            if (obeys && stop.stop_requested()) throw std::runtime_error("given up");
                        }
                        return smallMap(static_cast<float>(snapshot.step * 10 + request.head));
                    },
                .fidelity = [](const Snapshot&, const HeadChoice&,
                               const std::stop_token&) { return HeadFidelity{.outputError = 0.5}; },
                .has = [](const Snapshot&, MapKind) { return true; }};
    }
};

template <typename Condition>
bool eventually(Condition condition) {
    for (int wait = 0; wait < 5000; ++wait) {
        if (condition()) return true;
        std::this_thread::sleep_for(1ms);
    }
    return false;
}

TEST(MapService, TheNewestRequestWinsAndNobodyWaits) {
    Gate gate;
    MapService service([] {}, gate.work());
    service.request({{snapshotOf(1), {}}});
    ASSERT_TRUE(eventually([&] { return gate.mapsBegun > 0; }));
    const auto begin = std::chrono::steady_clock::now();
    for (int head = 1; head <= 3; ++head) service.request({{snapshotOf(2), {.head = head}}});
    EXPECT_TRUE(service.take().empty());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 100ms) << "requests must not wait for the computation";
    gate.open = true;
    std::shared_ptr<const MapSet> answer;
    std::vector<int> heads;
    ASSERT_TRUE(eventually([&] {
        for (const auto& next : service.take()) {
            answer = next;
            heads.push_back(next->choice.head);
        }
        return answer && answer->fidelity.has_value();
    }));
    EXPECT_EQ(answer->choice.head, 3);
    EXPECT_FLOAT_EQ(answer->maps[0]->matrix.values[0], 23);
    for (const int head : heads) EXPECT_EQ(head, 3) << "superseded heads must not be computed to the end";
    EXPECT_LE(gate.mapsBegun, 1 + kMapCount);
}

TEST(MapService, SnapshotsFasterThanMapsStillLeadToPictures) {
    Gate gate;
    MapService service([] {}, gate.work());
    service.request({{snapshotOf(1), {}}});
    ASSERT_TRUE(eventually([&] { return gate.mapsBegun > 0; }));
    service.request({{snapshotOf(2), {}}});
    gate.open = true;
    std::vector<std::int64_t> steps;
    ASSERT_TRUE(eventually([&] {
        for (const auto& next : service.take()) steps.push_back(next->snapshot->step);
        return !steps.empty() && steps.back() == 2 && !service.busy();
    }));
}

TEST(MapService, WhatIsInWorkOrWaitsToBeTakenIsNotComputedTwice) {
    Gate gate;
    MapService service([] {}, gate.work());
    std::vector<MapJob> jobs;
    for (const int lane : {0, 1, 2}) {
        const auto snapshot = test::syntheticSnapshot({.length = 8, .slots = 4, .headWidth = 4, .lane = lane});
        jobs.push_back({snapshot, {.lane = lane}, MapScope::Own});
        service.request(jobs);  // as lanes' snapshots come in
    }
    ASSERT_TRUE(eventually([&] { return gate.mapsBegun > 0; }));
    gate.open = true;
    service.request(jobs);
    ASSERT_TRUE(eventually([&] { return !service.busy(); }));
    service.request(jobs);
    EXPECT_FALSE(service.busy());
    const auto answers = service.take();
    ASSERT_EQ(answers.size(), 3U);
    for (std::size_t lane = 0; lane < 3; ++lane) {
        EXPECT_EQ(answers[lane]->choice.lane, static_cast<int>(lane));
        EXPECT_EQ(kMapKinds[answers[lane]->ownIndex()], MapKind::Lifted);
        EXPECT_FALSE(answers[lane]->fidelity.has_value());
    }
    EXPECT_EQ(gate.mapsBegun, 3);
}

TEST(MapService, WhatWasGivenUpAndIsAskedForAgainIsWhole) {
    Gate gate;
    MapService service([] {}, gate.work());
    const auto first = snapshotOf(1);
    service.request({{first, {}}});
    ASSERT_TRUE(eventually([&] { return gate.mapsBegun > 0; }));
    service.request({{snapshotOf(1), {.head = 1}}});
    service.request({{first, {}}});
    gate.open = true;
    std::shared_ptr<const MapSet> answer;
    ASSERT_TRUE(eventually([&] {
        for (const auto& next : service.take()) answer = next;
        return answer && answer->fidelity.has_value();
    }));
    EXPECT_EQ(answer->snapshot, first);
    for (const auto& map : answer->maps) EXPECT_NE(map, nullptr);
}

TEST(MapService, ProblemsAreSaidNotThrown) {
    MapService::Work work = Gate().work();
    work.map = [](const Snapshot&, const MapRequest&, const std::stop_token&) -> AttentionMap {
        throw std::runtime_error("[maps] broken");
    };
    MapService service([] {}, work);
    service.request({{snapshotOf(1), {}}});
    std::shared_ptr<const MapSet> answer;
    ASSERT_TRUE(eventually([&] {
        for (const auto& next : service.take()) answer = next;
        return answer != nullptr;
    }));
    EXPECT_EQ(answer->problem, "[maps] broken");
}

TEST(MapService, WorkThatObeysEndsWhenItIsGivenUp) {
    Gate gate;
    gate.obeys = true;
    MapService service([] {}, gate.work());
    service.request({{snapshotOf(1), {}}});
    ASSERT_TRUE(eventually([&] { return gate.mapsBegun > 0; }));
    service.request({});
    EXPECT_TRUE(eventually([&] { return !service.busy(); }));
    EXPECT_TRUE(service.take().empty());
    service.request({{snapshotOf(2), {}}});
    EXPECT_TRUE(eventually([&] { return gate.mapsBegun > 1; }));
}  // which gives up what is in work

TEST(MapService, EndsWhileItWorks) {
    Gate gate;
    gate.open = true;
    for (int round = 0; round < 20; ++round) {
        MapService service([] {}, gate.work());
        service.request({{snapshotOf(round), {}}});
    }
}

TEST(MapService, ComputesTheRealMapsOfLinformer) {
    MapService service([] {});
    const auto snapshot = test::syntheticSnapshot({.length = 48, .slots = 8, .heads = 2, .headWidth = 8});
    service.request({{snapshot, {.lane = 1, .layer = 1, .head = 1, .sample = 1}}});
    std::shared_ptr<const MapSet> answer;
    ASSERT_TRUE(eventually([&] {
        for (const auto& next : service.take()) answer = next;
        return answer && (answer->fidelity || !answer->problem.empty());
    }));
    ASSERT_EQ(answer->problem, "");
    const Matrix& exact = answer->maps[0]->matrix;
    const Matrix& lifted = answer->maps[2]->matrix;
    const Matrix& difference = answer->maps[3]->matrix;
    EXPECT_EQ(answer->maps[1]->matrix.cols, 8);
    for (std::int64_t index : {0, 100, 2000})
        EXPECT_NEAR(difference.values[static_cast<std::size_t>(index)],
                    lifted.values[static_cast<std::size_t>(index)] - exact.values[static_cast<std::size_t>(index)],
                    1e-6);
    EXPECT_LE(answer->fidelity->rankBound, answer->fidelity->mapError + 1e-6);
}

}  // namespace
}  // namespace linscope::viz
