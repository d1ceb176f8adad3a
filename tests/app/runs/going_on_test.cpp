#include "app/runs/going_on.h"

#include <gtest/gtest.h>

#include "core/io/lane_layouts.h"
#include "core/train/checkpoint_state.h"
#include "core/train/lane.h"
#include "core/train/runner.h"
#include "core/train/trainer.h"
#include "tests/support/small_experiment.h"

namespace linscope::app {
namespace {

// What a person asks for between two steps, behind the checkpoint of the first of them, is in the log and not in the
// checkpoint.
TEST(GoingOn, KeepsWhatWasSteeredBehindTheCheckpoint) {
    const test::TemporaryFolder folder;
    Experiment experiment = test::smallExperiment(test::writeText(folder.path()));
    experiment.steps = 20;
    const auto file = folder.path() / "run.h5";
    {
        Trainer trainer(experiment);
        RunFileWriter writer(file, experiment, trainer.task(), laneLayouts(trainer));
        trainer.addListener(writer);
        trainer.setCheckpointFolder(checkpointFolder(file), writer.runId());
        trainer.begin();
        trainer.apply({.kind = CommandKind::SetLearningRate, .lane = 1, .value = 0.1 / 3});
        for (int step = 0; step < 4; ++step) trainer.step();
        trainer.saveCheckpoint();
        trainer.apply({.kind = CommandKind::SetLearningRate, .lane = 0, .value = 0.1 / 7});
        trainer.apply({.kind = CommandKind::Freeze, .lane = 1});
        trainer.step();  // and what is asked for after this one is cut off with it
        trainer.apply({.kind = CommandKind::SetLearningRate, .lane = -1, .value = 0.5});
    }
    Trainer again(experiment);
    goOnFrom(again, RunFileReader(file), checkpointFolder(file) / checkpointName(4));
    EXPECT_EQ(again.currentStep(), 4);
    EXPECT_EQ(again.lane(0).peakLearningRate(), 0.1 / 7);
    EXPECT_EQ(again.lane(1).peakLearningRate(), 0.1 / 3);
    EXPECT_TRUE(again.lane(1).projectionsFrozen());
}

}  // namespace
}  // namespace linscope::app
