#include "app/session/run_record.h"

#include <gtest/gtest.h>

namespace linscope::app {
namespace {

RunRecord twoLanes() {
    Experiment experiment;
    experiment.lanes = {{.name = "a", .mechanism = "full", .options = {}},
                        {.name = "b", .mechanism = "full", .options = {}}};
    return RunRecord::fromExperiment(experiment);
}

TEST(RunRecord, TakesStepsOfLanesThatStepped) {
    RunRecord record = twoLanes();
    StepEvent event{.step = 7, .wallSeconds = 1.5};
    event.lanes = {{.loss = 2.5, .learningRate = 1e-3}, {.stepped = false}};
    record.apply(event);
    EXPECT_EQ(record.lastStep, 7);
    const Series* loss = findSeries(record.lanes[0], "loss");
    ASSERT_NE(loss, nullptr);
    EXPECT_EQ(loss->steps, (std::vector<std::int64_t>{7}));
    EXPECT_EQ(loss->values, (std::vector<double>{2.5}));
    EXPECT_EQ(findSeries(record.lanes[1], "loss"), nullptr);
    EXPECT_DOUBLE_EQ(record.learningRates[0], 1e-3);
}

TEST(RunRecord, TakesProbesStatesAndCommands) {
    RunRecord record = twoLanes();
    ProbeEvent probe{.step = 5, .lane = 1};
    probe.projections.push_back(
        {.label = "E", .slots = 2, .length = 4, .health = {.spectrum = {2, 1}, .conditionNumber = 2}});
    record.apply(probe);
    ASSERT_EQ(record.lanes[1].projections.size(), 1U);
    EXPECT_EQ(record.lanes[1].projections[0].measures.at("condition_number"), (std::vector<double>{2}));

    record.apply(LaneStateEvent{.step = 6, .lane = 0, .state = LaneState::Diverged, .message = "blocks.0"});
    EXPECT_EQ(record.lanes[0].state, LaneState::Diverged);
    record.apply(CommandEvent{.step = 6, .lane = 1, .name = "freeze", .oldValue = "trained", .newValue = "frozen"});
    EXPECT_FALSE(record.frozen[0]);
    EXPECT_TRUE(record.frozen[1]);
    ASSERT_EQ(record.log.size(), 2U);
    EXPECT_EQ(record.log[1].text, "freeze: trained → frozen");
}

TEST(RunRecord, ListsStoredStepsOnce) {
    RunRecord record = twoLanes();
    for (int lane : {0, 1})
        for (int step : {0, 100}) {
            auto snapshot = std::make_shared<Snapshot>();
            snapshot->lane = lane;
            snapshot->step = step;
            record.apply(SnapshotEvent{snapshot, true});
            record.apply(SnapshotEvent{snapshot, false});
        }
    EXPECT_EQ(record.snapshotSteps(), (std::vector<std::int64_t>{0, 100}));
}

}  // namespace
}  // namespace linscope::app
