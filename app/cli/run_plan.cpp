#include "app/cli/run_plan.h"

#include "app/cli/standard_streams.h"
#include "app/runs/going_on.h"
#include "app/runs/run_files.h"
#include "core/base/error.h"
#include "core/base/shell_word.h"
#include "core/io/checkpoint.h"
#include "core/io/run_file.h"
#include "core/train/checkpoint_state.h"

namespace linscope::app {
namespace {

namespace fs = std::filesystem;

/// Throws Error unless `wanted` says the same as `logged` in every value.
void requireSame(const Experiment& logged, const Experiment& wanted) {
    if (const auto found = firstDifference(logged, wanted))
        fail("resume",
             "a resumed run keeps its experiment, but {} is {} there and {} was asked for; train a new run for that",
             found->key, found->first, found->second);
}

RunPlan planNew(const TrainArguments& arguments) {
    RunPlan plan;
    plan.experiment = Experiment::fromFile(arguments.experiment);
    applySets(plan.experiment, arguments.sets);
    if (arguments.steps) plan.experiment.steps = *arguments.steps;
    plan.experiment.validate();

    plan.dated = arguments.out.empty();
    plan.runFile = plan.dated ? datedRunFile(arguments.experiment) : fs::path(arguments.out);
    plan.checkpoints = checkpointFolder(plan.runFile);
    if (plan.dated) return plan;  // claimDatedFile() looks for a name that is free
    std::error_code ignored;
    require(!fs::exists(plan.runFile, ignored) || fs::is_directory(plan.runFile, ignored) ||
                fs::file_size(plan.runFile, ignored) == 0,
            "train",
            "--out must name a new file, but {} is there already; choose another name, or go on with --resume {}",
            plan.runFile.string(), shellWord(plan.runFile.string()));
    require(!fs::exists(plan.checkpoints, ignored) || fs::is_directory(plan.checkpoints, ignored), "train",
            "the folder of checkpoints was to be {}, but that is no folder; choose another --out",
            plan.checkpoints.string());
    require(!fs::exists(plan.checkpoints, ignored) || fs::is_empty(plan.checkpoints, ignored), "train",
            "the folder of checkpoints must be empty for a new run, but {} holds those of an earlier one; remove it or "
            "choose another --out",
            plan.checkpoints.string());
    return plan;
}

RunPlan planResumed(const TrainArguments& arguments) {
    RunPlan plan;
    plan.resumed = true;
    plan.runFile = arguments.resume;
    std::error_code ignored;
    require(arguments.out.empty() || fs::equivalent(arguments.out, plan.runFile, ignored), "resume",
            "a resumed run goes on in its own file {}, but --out {} was given; leave --out away", plan.runFile.string(),
            arguments.out);
    const RunFileReader reader(plan.runFile);
    plan.experiment = reader.experiment();

    Experiment wanted = arguments.experiment.empty() ? plan.experiment : Experiment::fromFile(arguments.experiment);
    applySets(wanted, arguments.sets);
    if (arguments.steps) wanted.steps = plan.experiment.steps;
    requireSame(plan.experiment, wanted);
    if (arguments.steps) {
        require(*arguments.steps <= plan.experiment.steps, "resume",
                "--steps can be at most the {} steps that the run was planned for, but {} was given",
                plan.experiment.steps, *arguments.steps);
        plan.untilStep = *arguments.steps;
    }
    plan.checkpoints = checkpointFolder(plan.runFile);
    plan.checkpoint = newestCheckpoint(plan.checkpoints, reader.lastStep());
    // To begin again would cut away all that the file holds: what only a run that has logged nothing may ask for.
    require(plan.checkpoint || reader.lastStep() <= 0, "resume",
            "a checkpoint to go on from was expected in the folder {}, since {} holds {} steps, but there is no whole "
            "one; put the run's checkpoints back there, or start a new run with --out",
            plan.checkpoints.string(), plan.runFile.string(), reader.lastStep());
    return plan;
}

}  // namespace

void applySets(Experiment& experiment, const std::vector<std::string>& sets) {
    for (const std::string& text : sets) {
        const std::size_t equals = text.find('=');
        require(equals != std::string::npos && equals > 0, "--set", "key=value was expected, but \"{}\" was given",
                text);
        experiment.set(text.substr(0, equals), text.substr(equals + 1));
    }
}

RunPlan planRun(const TrainArguments& arguments) {
    return arguments.resume.empty() ? planNew(arguments) : planResumed(arguments);
}

std::optional<fs::path> newestCheckpoint(const fs::path& folder, std::int64_t lastStep) {
    const FoundCheckpoint found = findCheckpoint(folder, lastStep);
    for (const std::string& why : found.passedOver) say("a checkpoint is passed over: {}\n", why);
    return found.file;
}

fs::path datedRunFile(const fs::path& experiment) {
    std::string name = experiment.stem().string();
    if (name == "experiment") {
        std::error_code ignored;  // where the folder that the program runs in has been removed
        const fs::path folder = fs::absolute(experiment, ignored).parent_path().filename();
        if (!folder.empty()) name = folder.string();
    }
    return fs::path("runs") / datedName(name);
}

void claimDatedFile(RunPlan& plan) {
    if (!plan.dated) return;
    plan.runFile = claimRunFile(plan.runFile, "choose another with --out");
    plan.checkpoints = checkpointFolder(plan.runFile);
}

}  // namespace linscope::app
