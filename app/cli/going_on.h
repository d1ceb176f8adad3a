#pragma once

#include <filesystem>

#include "core/data/task.h"
#include "core/io/run_file.h"

namespace linscope {
class Trainer;
}

// What a run that goes on must find as it left it, whoever goes on with it.

namespace linscope::app {

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
