#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/data/task.h"
#include "core/io/run_file.h"

namespace linscope {
class Trainer;
}

// What a run that goes on must find as it left it, whoever goes on with it.

namespace linscope::app {

/// One value of an experiment, as texts, in which another has a different one.
struct ExperimentDifference {
    std::string key, first, second;
};
/// The first of them; none where all are the same.
std::optional<ExperimentDifference> firstDifference(const Experiment& first, const Experiment& second);

/// Throws Error, which says what differs, where the checkpoint says that it is of another run. Where either is of a
/// version that named no runs, their experiments are compared.
void requireOwnCheckpoint(const RunFileReader& run, const std::filesystem::path& checkpoint);

/// What has changed in the data since the run began, as the end of a sentence: "then it was …, now it is …"; empty
/// where they are the same, or the run file is of a version that kept no digest.
std::string changeOfData(const RunFileReader& run, const Task& task);

/// Throws Error where they have changed.
void requireSameData(const RunFileReader& run, const Task& task);

/// Takes over the checkpoint, and what people changed behind it before the next step: the log of the run file has that,
/// the checkpoint has not. Throws Error where the checkpoint is of another run, or the data are not what they were.
void goOnFrom(Trainer& trainer, const RunFileReader& run, const std::filesystem::path& checkpoint);

}  // namespace linscope::app
