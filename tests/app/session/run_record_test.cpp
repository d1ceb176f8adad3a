#include "app/session/run_record.h"

#include <gtest/gtest.h>

#include <QTemporaryDir>

#include "tests/core/io/synthetic_run.h"

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

TEST(RunRecord, KnowsTheRateThatWasSetLast) {
    RunRecord record = twoLanes();
    EXPECT_DOUBLE_EQ(record.peakRates[1], record.experiment.optimizer.learningRate);
    record.apply(
        CommandEvent{.step = 6, .lane = -1, .name = "set_learning_rate", .oldValue = "0.001", .newValue = "0.0005"});
    record.apply(CommandEvent{.step = 8, .lane = 1, .name = "set_learning_rate", .newValue = "2e-05"});
    EXPECT_DOUBLE_EQ(record.peakRates[0], 5e-4);
    EXPECT_DOUBLE_EQ(record.peakRates[1], 2e-5);
    EXPECT_EQ(record.log[0].kind, LogKind::Change);
    record.apply(CommandEvent{.step = 8, .lane = -1, .name = "pause"});
    EXPECT_EQ(record.log[2].kind, LogKind::Command);
}

TEST(RunRecord, RewindsToTheStepOfACheckpoint) {
    RunRecord record = twoLanes();
    for (int step = 1; step <= 9; ++step) {
        StepEvent event{.step = step};
        event.lanes = {{.loss = 1.0 * step, .learningRate = 1e-4 * step}, {.loss = 2.0 * step, .learningRate = 1e-3}};
        record.apply(event);
        ProbeEvent probe{.step = step, .lane = 1};
        probe.projections.push_back({.label = "E", .slots = 1, .length = 2, .health = {.spectrum = {1}}});
        record.apply(probe);
        auto snapshot = std::make_shared<Snapshot>();
        snapshot->lane = 1;
        snapshot->step = step;
        record.apply(SnapshotEvent{snapshot, true});
        record.apply(CommandEvent{.step = step, .lane = -1, .name = "set_learning_rate", .newValue = "1"});
    }
    record.rewind(5);
    EXPECT_EQ(record.lastStep, 5);
    EXPECT_EQ(findSeries(record.lanes[0], "loss")->steps, (std::vector<std::int64_t>{1, 2, 3, 4, 5}));
    EXPECT_EQ(findSeries(record.lanes[1], "loss")->values.size(), 5U);
    EXPECT_EQ(record.lanes[1].projections[0].spectrum.size(), 5U);
    EXPECT_EQ(record.lanes[1].projections[0].measures.at("condition_number").size(), 5U);
    EXPECT_EQ(record.snapshotSteps().back(), 5);
    EXPECT_DOUBLE_EQ(record.learningRates[0], 5e-4);
    EXPECT_EQ(record.log.size(), 5U);
}

TEST(RunRecord, ALiveRunKnowsWhatItsFileKnows) {
    const QTemporaryDir folder;
    const std::filesystem::path path = folder.filePath("run.h5").toStdString();
    const synthetic::Sizes sizes;
    RunFileWriter writer(path, synthetic::experiment(sizes), synthetic::SyntheticTask(sizes.length),
                         synthetic::layouts(sizes));
    RunRecord live = RunRecord::fromExperiment(synthetic::experiment(sizes));
    for (std::int64_t step = 1; step <= 10; ++step) {
        const auto both = [&](const Event& event) {
            writer.onEvent(event);
            live.apply(event);
        };
        both(synthetic::stepEvent(step));
        if (step % 5 != 0) continue;
        both(synthetic::probeEvent(sizes, step));
        for (int lane = 0; lane < 2; ++lane) both(synthetic::validationEvent(step, lane));
    }
    writer.flush();
    const RunRecord read = RunRecord::fromReader(RunFileReader(path));
    for (std::size_t lane = 0; lane < 2; ++lane) {
        ASSERT_EQ(live.lanes[lane].metrics.size(), read.lanes[lane].metrics.size());
        for (const Series& wanted : read.lanes[lane].metrics) {
            const Series* series = findSeries(live.lanes[lane], wanted.name);
            ASSERT_NE(series, nullptr) << wanted.name;
            EXPECT_EQ(series->unit, wanted.unit);
            EXPECT_EQ(series->longName, wanted.longName);
            EXPECT_EQ(series->steps, wanted.steps) << wanted.name;
            EXPECT_EQ(series->values, wanted.values) << wanted.name;
        }
    }
    ASSERT_EQ(live.lanes[1].projections.size(), read.lanes[1].projections.size());
    EXPECT_EQ(live.lanes[1].projections[0].measures, read.lanes[1].projections[0].measures);
    EXPECT_EQ(metricTitle("memory_bytes"), "Memory (bytes)");
    EXPECT_EQ(metricTitle("validation_bits_per_byte"), "Validation (bits/byte)");
    EXPECT_EQ(metricTitle("accuracy"), "Accuracy");
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
