#include "core/train/device_check.h"

#include <gmock/gmock.h>

#include <limits>
#include <numeric>

#include "core/base/error.h"
#include "core/data/task.h"
#include "core/io/lane_layouts.h"
#include "core/io/run_file.h"
#include "core/train/trainer.h"
#include "tests/support/small_experiment.h"

namespace linscope {
namespace {

// A lane on the processor stands for the one on a device: what is checked, compared and logged is the same.
class DeviceCheckTest : public testing::Test {
protected:
    test::TemporaryFolder folder;
    Experiment experiment = test::smallExperiment(test::writeText(folder.path()));
    std::unique_ptr<Task> task =
        findTask(experiment.task.name).create(experiment.task.options, static_cast<std::uint64_t>(experiment.seed));
    Lane lane{experiment, 1, *task};
    Batch batch;

    DeviceCheckEvent checked(DeviceCheck& check, const std::function<void()>& disturb = {}) {
        task->nextBatch(batch);
        check.takeOver(lane);
        lane.begin(batch, 1);
        check.compute(batch);
        const LaneStep result = lane.finish(batch);
        if (disturb) disturb();
        return check.compare(lane, result, 1);
    }
};

std::int64_t sum(const DeviceCheckEvent& event) {
    return std::accumulate(event.errors.begin(), event.errors.end(), std::int64_t{0});
}

TEST_F(DeviceCheckTest, TheSameComputationHasNoErrors) {
    DeviceCheck check(experiment, *task, lane, 1);
    lane.step((task->nextBatch(batch), batch), 1);  // so that its weights are not the first ones
    const DeviceCheckEvent event = checked(check);
    EXPECT_EQ(event.lossError, 0);
    EXPECT_EQ(event.normError, 0);
    EXPECT_EQ(event.worstError, 0);
    EXPECT_EQ(event.errors[0], sum(event));
    std::int64_t trained = 0;
    for (const Parameter& p : lane.parameters().all()) trained += p.trained() ? p.value.elements() : 0;
    EXPECT_EQ(sum(event), trained);
}

TEST_F(DeviceCheckTest, AnEntryThatIsOffIsCountedAndNamed) {
    DeviceCheck check(experiment, *task, lane, 1);
    Parameter* disturbed = nullptr;
    const DeviceCheckEvent event = checked(check, [&] {
        float most = 0;  // of all tensors, so that the floor of small ones is not met
        for (Parameter& p : lane.parameters().all())
            for (const float g : p.gradient.span<float>())
                if (std::abs(g) > most) most = std::abs(g), disturbed = &p;
        disturbed->gradient.as<float>()[3] += 0.02f * most;
    });
    EXPECT_NEAR(event.worstError, 0.02, 0.001);
    EXPECT_EQ(event.worstParameter, disturbed->name);
    EXPECT_EQ(event.errors[DeviceCheckEvent::binOf(0.02)], 1);
    EXPECT_EQ(event.errors[0], sum(event) - 1);
}

TEST_F(DeviceCheckTest, WhatIsNotANumberIsTheWorst) {
    DeviceCheck check(experiment, *task, lane, 1);
    const DeviceCheckEvent event = checked(
        check, [&] { lane.parameters().all()[0].gradient.as<float>()[0] = std::numeric_limits<float>::quiet_NaN(); });
    EXPECT_TRUE(std::isnan(event.worstError));
    EXPECT_EQ(event.errors.back(), 1);
}

TEST(DeviceCheckEvent, BinsAreDecades) {
    EXPECT_EQ(DeviceCheckEvent::binOf(0), 0u);
    EXPECT_EQ(DeviceCheckEvent::binOf(9e-10), 0u);
    EXPECT_EQ(DeviceCheckEvent::binOf(1.1e-9), 1u);
    EXPECT_EQ(DeviceCheckEvent::binOf(2e-5), 5u);
    EXPECT_EQ(DeviceCheckEvent::binOf(0.5), 9u);
    EXPECT_EQ(DeviceCheckEvent::binOf(1), 10u);
}

TEST_F(DeviceCheckTest, AShareOfTheStepsIsDue) {
    for (const double fraction : {0.0, 0.25, 1.0}) {
        const DeviceCheck one(experiment, *task, lane, fraction), other(experiment, *task, lane, fraction);
        int due = 0;
        for (int step = 1; step <= 1000; ++step) {
            due += one.due(step) ? 1 : 0;
            EXPECT_EQ(one.due(step), other.due(step));
        }
        EXPECT_NEAR(due, 1000 * fraction, 50) << fraction;  // 3.7 deviations of 13.7
    }
    EXPECT_THROW(DeviceCheck(experiment, *task, lane, 1.5), Error);
    EXPECT_THROW(DeviceCheck(experiment, *task, lane, -0.1), Error);
}

TEST_F(DeviceCheckTest, TheRunFileHasTheHistogram) {
    const auto path = folder.path() / "run.h5";
    Trainer trainer(experiment);
    trainer.checkDevice(1);
    {
        RunFileWriter writer(path, experiment, trainer.task(), laneLayouts(trainer));
        trainer.addListener(writer);
        for (int step = 0; step < 3; ++step) trainer.step();
        trainer.removeListener(writer);
    }
    const RunFileReader run(path);
    for (const LaneRecord& record : run.lanes()) {
        ASSERT_EQ(record.checkErrors.size(), 3u);
        EXPECT_GT(record.checkErrors[2][0], 1000);
        EXPECT_EQ(record.metrics.back().name, "device_check_milliseconds");
        EXPECT_THAT(record.metrics.back().steps, testing::ElementsAre(1, 2, 3));
        EXPECT_GT(record.metrics.back().values[0], 0);
    }
    RunFileWriter::resume(path, 2).reset();
    EXPECT_EQ(RunFileReader(path).lanes()[0].checkErrors.size(), 2u);
}

}  // namespace
}  // namespace linscope
