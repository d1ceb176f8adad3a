// A kernel that fails takes the device away from the whole process, so that it fails in one of its own.

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "core/io/lane_layouts.h"
#include "core/io/run_file.h"
#include "core/train/command.h"
#include "core/train/runner.h"
#include "core/train/trainer.h"
#include "tests/core/cuda/cuda_test.h"
#include "tests/core/cuda/failing_kernel.h"
#include "tests/support/small_experiment.h"

namespace linscope {
namespace {

class LostDevice : public test::CudaTest {};

/// Breaks the device after the second step.
class Breaker : public EventSink {
public:
    void onEvent(const Event& event) override {
        if (const auto* step = std::get_if<StepEvent>(&event); step && step->step == 2) test::failOnDevice();
        if (std::get_if<LaneStateEvent>(&event)) ++stopped;
    }
    int stopped = 0;
};

[[noreturn]] void trainUntilItFails(const Experiment& experiment, const std::filesystem::path& folder) {
    bool ended = false;
    int stopped = 0;
    {
        Trainer trainer(experiment, Device::Cuda);
        RunFileWriter writer(folder / "run.h5", trainer.experiment(), trainer.task(), laneLayouts(trainer));
        Breaker breaker;
        trainer.addListener(writer);
        trainer.addListener(breaker);
        trainer.setCheckpointFolder(folder / "c");
        CommandQueue commands;
        ended = runTrainer(trainer, commands) == RunState::Finished;
        writer.flush();
        stopped = breaker.stopped;
    }
    std::_Exit(ended && stopped == 2 ? 0 : 1);
}

TEST_F(LostDevice, LanesStopAndTheRunFileIsWhole) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    // The process that fails begins this test anew, and so must not take another folder.
    const std::filesystem::path folder = std::filesystem::temp_directory_path() / "linscope_lost_device";
    std::filesystem::create_directories(folder);
    Experiment experiment = test::smallExperiment(test::writeText(folder));
    experiment.steps = 6;
    EXPECT_EXIT(trainUntilItFails(experiment, folder), testing::ExitedWithCode(0), "");
    const RunFileReader reader(folder / "run.h5");
    EXPECT_EQ(reader.health(), RunHealth::Whole);
    int named = 0;
    for (const Event& event : reader.log())
        if (const auto* state = std::get_if<LaneStateEvent>(&event)) named += state->state == LaneState::Failed;
    EXPECT_EQ(named, 2);
    EXPECT_FALSE(std::filesystem::exists(folder / "c" / "step-000003.safetensors"));
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace linscope
