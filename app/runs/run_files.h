#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

// Where the files of runs lie, whoever makes or goes on with a run.

namespace linscope::app {

struct FoundCheckpoint {
    std::optional<std::filesystem::path> file;
    std::vector<std::string> passedOver;  ///< why others that are newer cannot be gone on from, a sentence each
};
/// The newest checkpoint in the folder whose step is not after `lastStep`, the last that the run file holds. Those
/// whose header or size is not whole are passed over.
FoundCheckpoint findCheckpoint(const std::filesystem::path& folder, std::int64_t lastStep);

/// "first_light-20260131-090501.h5", by the clock.
std::string datedName(const std::string& stem);

/// Makes a run file, empty, under a name that no other run has, and returns its path: `wanted`, or with -2, -3, …
/// behind its stem where that is taken, by a file or by the checkpoints of one that is gone. Of two programs that ask
/// at once each gets its own; the run's writer replaces it. The folder must be there. Throws Error where no file can be
/// made, and ends it by `mend`.
std::filesystem::path claimRunFile(const std::filesystem::path& wanted, const std::string& mend);

/// Takes such a file away again where nothing has come of the run: it is empty still.
void releaseRunFile(const std::filesystem::path& path);

}  // namespace linscope::app
