#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/commands.h"
#include "core/experiment/experiment.h"

namespace linscope::app {

/// All that is settled before a training starts.
struct RunPlan {
    Experiment experiment;
    std::filesystem::path runFile;
    std::filesystem::path checkpoints;  ///< folder
    bool resumed = false;
    bool dated = false;  ///< the run file's name is by the clock: claimDatedFile() makes it one of the run's own
    std::optional<std::filesystem::path> checkpoint;  ///< to go on from; empty: from the beginning
    std::optional<std::int64_t> untilStep;            ///< stop after this step, before the experiment's end
};

/// Sets what `--set KEY=VALUE` asks for; the caller validates. Throws Error on the first that is wrong.
void applySets(Experiment& experiment, const std::vector<std::string>& sets);

/// A new run, or one that goes on. Throws Error: the experiment is wrong, the run file is there already,
/// what is asked for differs from the experiment in the run file that is to go on, or that holds steps but no
/// checkpoint is there to go on from.
RunPlan planRun(const TrainArguments& arguments);

/// findCheckpoint(); stderr says which are passed over, and why.
std::optional<std::filesystem::path> newestCheckpoint(const std::filesystem::path& folder, std::int64_t lastStep);

/// "runs/first_light-20260131-090501.h5" for "experiments/first_light/experiment.toml".
std::filesystem::path datedRunFile(const std::filesystem::path& experiment);

/// Of a dated plan: claimRunFile().
void claimDatedFile(RunPlan& plan);

}  // namespace linscope::app
