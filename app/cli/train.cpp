#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "app/cli/commands.h"
#include "app/cli/lane_states.h"
#include "app/cli/progress.h"
#include "app/cli/run_plan.h"
#include "app/cli/signals.h"
#include "app/cli/standard_streams.h"
#include "app/cli/train_console.h"
#include "app/runs/device_choice.h"
#include "app/runs/going_on.h"
#include "app/runs/run_files.h"
#include "core/base/error.h"
#include "core/base/shell_word.h"
#include "core/cuda/device.h"
#include "core/io/lane_layouts.h"
#include "core/train/lane.h"
#include "core/train/runner.h"
#include "core/train/trainer.h"

namespace linscope::app {
namespace {

namespace fs = std::filesystem;

/// The file that a run logs to, made or opened again, with the trainer at the step it goes on from.
std::unique_ptr<RunFileWriter> openRunFile(RunPlan& plan, Trainer& trainer) {
    if (!plan.resumed) {
        if (const fs::path folder = plan.runFile.parent_path(); !folder.empty()) {
            std::error_code error, ignored;
            fs::create_directories(folder, error);
            const fs::path whole = fs::absolute(folder, ignored);  // empty where the working folder has been removed
            require(!error, "train",
                    "the folder {} was to be made for the run file, but: {}; choose another with --out",
                    (whole.empty() ? folder : whole).string(), error.message());
        }
        claimDatedFile(plan);
        try {
            return std::make_unique<RunFileWriter>(plan.runFile, plan.experiment, trainer.task(), laneLayouts(trainer));
        } catch (...) {
            if (plan.dated) releaseRunFile(plan.runFile);
            throw;
        }
    }
    const RunFileReader run(plan.runFile);
    if (plan.checkpoint) {
        goOnFrom(trainer, run, *plan.checkpoint);
        say("going on after step {} from {}\n", trainer.currentStep(), plan.checkpoint->string());
        return RunFileWriter::resume(plan.runFile, trainer.currentStep());
    }
    requireSameData(run, trainer.task());
    say("no checkpoint in {}: starting again from the beginning, with the same seed\n", plan.checkpoints.string());
    return RunFileWriter::resume(plan.runFile, -1);
}

std::vector<std::string> laneNames(const Experiment& experiment) {
    std::vector<std::string> names;
    for (const LaneConfig& lane : experiment.lanes) names.push_back(lineOf(lane.name));
    return names;
}

std::string whyStopped(Trainer& trainer) {
    std::string text;
    for (std::size_t i = 0; i < trainer.laneCount(); ++i) {
        const Lane& lane = trainer.lane(i);
        text += fmt::format("{}\"{}\" stopped because {}{}", i == 0 ? "" : ", ", lane.config().name,
                            lane.state() == LaneState::Diverged ? "this was not finite: " : "of ", lane.message());
    }
    return text;
}

}  // namespace

int runTrain(const TrainArguments& arguments) {
    if (arguments.device == "cuda") requireCuda();
    outlivePipes();
    CommandQueue commands;
    // First of all, so that the threads of the parallel loops inherit the blocked signals.
    const StopSignals signals([&commands] { commands.post({.kind = CommandKind::Stop}); });

    RunPlan plan = planRun(arguments);
    const Device device = chosenDevice(arguments.device, plan.experiment);
    Trainer trainer(plan.experiment, device);
    say("{}\n", lineOf(trainer.task().description()));
    if (device == Device::Cuda) say("on {}\n", cudaDescription());
    if (device == Device::Cpu && plan.experiment.model.precision == "bf16")
        say("bf16 on the processor: the numbers are those of bf16, the time is that of fp32 or more\n");
    if (arguments.checkDevice > 0) {
        require(device == Device::Cuda, "check-device",
                "a device was required to compare with the processor, but the run computes on the processor; use "
                "--device cuda");
        trainer.checkDevice(arguments.checkDevice);
    }

    const std::unique_ptr<RunFileWriter> writer = openRunFile(plan, trainer);
    trainer.setCheckpointFolder(plan.checkpoints, writer->runId());
    const std::int64_t lastStep = plan.untilStep.value_or(plan.experiment.steps);
    TrainConsole console(laneNames(plan.experiment), trainer.currentStep(), lastStep);
    trainer.addListener(*writer);
    trainer.addListener(console);

    runTrainer(trainer, commands, {.untilStep = plan.untilStep, .liveInterval = {}});
    console.finish();
    writer->flush();

    tell("run file     {} (step {} of {})\n", plan.runFile.string(), trainer.currentStep(), plan.experiment.steps);
    tell("checkpoints  {}\n", plan.checkpoints.string());
    if (!trainer.finished())
        tell("stopped after step {}; go on with: linscope train --resume {}\n", trainer.currentStep(),
             shellWord(plan.runFile.string()));
    require(trainer.anyLaneRuns(), "train",
            "at least one lane must reach the end, but {}; go on from before with: linscope train --resume {}",
            whyStopped(trainer), shellWord(plan.runFile.string()));
    return 0;
}

}  // namespace linscope::app
