#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/experiment/experiment.h"
#include "core/train/lane.h"

namespace linscope {

/// What a checkpoint says beside the tensors.
struct CheckpointHeader {
    std::int64_t step = 0;
    double wallSeconds = 0;
    std::string experimentToml;
    /// RunFileWriter::runId() of the run that it belongs to; empty: of none, or of an earlier version.
    std::string run;
    Random::State cursor{};              ///< of the training data
    std::vector<std::int64_t> lastGood;  ///< [lanes] step of the last checkpoint before the lane stopped; -1: none
};

/// Writes every lane's parameters with AdamW's moments (`lane0/NAME`, `lane0/NAME/first_moment`, …),
/// learning rates, frozen groups and states. Throws StorageFull or Error.
void writeCheckpoint(const std::filesystem::path& path, const CheckpointHeader& header,
                     const std::vector<std::unique_ptr<Lane>>& lanes);

/// Puts all of it back. Throws Error when the lanes are not those of the checkpoint. `only`: there is one lane, and it
/// is that one of the checkpoint's.
CheckpointHeader readCheckpoint(const std::filesystem::path& path, const std::vector<std::unique_ptr<Lane>>& lanes,
                                std::optional<int> only = {});

/// What can be told of a checkpoint without its tensors, so that its run may be looked at first.
struct CheckpointOrigin {
    std::string run, experimentToml;  ///< as in CheckpointHeader; empty where it does not say
};
CheckpointOrigin readCheckpointOrigin(const std::filesystem::path& path);

/// "step-000200.safetensors"
std::string checkpointName(std::int64_t step);
/// Checkpoints in a folder by ascending step; empty when there is no such folder.
std::vector<std::pair<std::int64_t, std::filesystem::path>> listCheckpoints(const std::filesystem::path& folder);
/// Removes from a folder the checkpoints before `step` except the newest ones, `keep` with that of `step`, those of the
/// steps in `always`, and step 0. Those of later steps, which a run that went on from `step` has not reached yet, are
/// left alone; what cannot be removed stays.
void pruneCheckpoints(const std::filesystem::path& folder, std::int64_t step, std::int64_t keep,
                      std::span<const std::int64_t> always);
/// The folder of a run file's checkpoints: `RUN.checkpoints` beside `RUN.h5`, where the file itself is and not a link
/// to it.
std::filesystem::path checkpointFolder(const std::filesystem::path& runFile);

}  // namespace linscope
