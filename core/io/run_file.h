#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/data/task.h"
#include "core/experiment/experiment.h"
#include "core/train/event.h"

namespace linscope {

/// The newest layout that this program writes and reads; docs/run-file.md describes it.
inline constexpr int kRunFileSchema = 1;

/// What a writer must know of a lane before anything happens, since no object can be added later.
struct LaneLayout {
    std::string name, mechanism;
    std::int64_t parameters = 0;
    std::vector<Projection> projections;                    ///< values as at step 0
    std::vector<ParameterValues> attentionParameters = {};  ///< Lane::attentionParameters()
};

struct RunFileOptions {
    double flushSeconds = 2.0;  ///< at most this much is lost by kill −9
    /// Free bytes at a path; replaced in tests. Empty: the file system's own answer.
    std::function<std::uint64_t(const std::filesystem::path&)> freeBytes;
};

/// Logs a run to one HDF5 file, readable while it grows and after kill −9 (docs/run-file.md).
/// A listener like any other; onEvent throws StorageFull when there is no room, and FileLost as flush() does. The event
/// that could not be written is kept and goes out with the next flush that succeeds.
class RunFileWriter : public EventSink {
public:
    /// Makes the file with its whole tree. Throws Error when the path cannot be written.
    RunFileWriter(const std::filesystem::path& path, const Experiment& experiment, const Task& task,
                  const std::vector<LaneLayout>& lanes, RunFileOptions options = {});
    /// Opens a file for going on after `step`: rows of later steps are cut off.
    static std::unique_ptr<RunFileWriter> resume(const std::filesystem::path& path, std::int64_t step,
                                                 RunFileOptions options = {});
    ~RunFileWriter() override;

    void onEvent(const Event& event) override;
    /// Writes all that is buffered. Throws StorageFull. Throws FileLost, once, where the file was removed, moved or
    /// replaced; all is then written to the file that the error names.
    void flush() override;

    /// The same for a run as long as it lives, wherever its file is; empty where the file was made by an earlier
    /// version.
    const std::string& runId() const;

private:
    RunFileWriter();
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

/// Whether a run came to an end in its file, and if not, whether it still may.
enum class RunHealth {
    Whole,         ///< the run was stopped or has finished
    BeingWritten,  ///< a program has the file open to go on in it
    CutOff         ///< no program writes it, and none has ended the run
};
/// As `info` tells it.
constexpr const char* nameOf(RunHealth health) {
    return health == RunHealth::Whole          ? "whole"
           : health == RunHealth::BeingWritten ? "being written"
                                               : "cut off while writing";
}
/// "finished", "paused", …; "cut off" in place of a state that nobody will end any more.
constexpr const char* stateName(RunState state, RunHealth health) {
    return health == RunHealth::CutOff ? "cut off" : nameOf(state);
}

/// Some program, this one too, holds the run file open for writing now. Throws Error where there is no such file.
bool isBeingWritten(const std::filesystem::path& runFile);

struct Series {
    std::string name, unit, longName;
    std::vector<std::int64_t> steps;
    std::vector<double> values;  ///< NaN where a lane did not step
};

struct ProjectionSeries {
    std::string label;          ///< Projection::label(); in a file any text
    int layer = -1, head = -1;  ///< −1: shared by all of them
    std::int64_t slots = 0, length = 0;
    std::vector<std::int64_t> steps;                      // [N]
    std::vector<std::vector<float>> spectrum;             // [N][K]
    std::vector<std::vector<float>> angles;               // [N][K]
    std::map<std::string, std::vector<double>> measures;  ///< "condition_number", "stable_rank", … each [N]
};

struct LaneRecord {
    std::string name, mechanism;
    std::int64_t parameters = 0;
    LaneState state = LaneState::Running;
    std::string message;
    std::vector<Series> metrics;
    std::vector<std::array<std::int64_t, DeviceCheckEvent::kBins>> checkErrors;  ///< of each checked step
    std::vector<ProjectionSeries> projections;
    std::vector<std::int64_t> snapshotSteps;
};

/// A finished, running or killed run, opened for reading.
class RunFileReader {
public:
    /// Throws Error: no such file, not HDF5, truncated, HDF5 but no Linscope run, or of a newer schema.
    explicit RunFileReader(const std::filesystem::path& path);
    ~RunFileReader();

    /// Reads again what a running writer has added.
    void refresh();

    /// The schema that the file was written by: 1 … kRunFileSchema.
    std::int64_t schema() const;
    const Experiment& experiment() const;
    std::string experimentToml() const;
    /// RunFileWriter::runId()
    const std::string& runId() const;
    /// Task::description() and Task::dataDigest() when the run began; the latter is empty in files of earlier versions.
    const std::string& data() const;
    const std::string& dataDigest() const;
    const std::vector<LaneRecord>& lanes() const;
    std::vector<TaskBaseline> baselines() const;
    /// CommandEvent, CheckpointEvent, LaneStateEvent and RunStateEvent, as they came.
    const std::vector<Event>& log() const;
    /// Each token as a person reads it, by its number: Task::tokenText() of the run's task.
    const std::vector<std::string>& vocabulary() const;
    /// Task::classes() of the run's task; none in files of earlier versions.
    const std::vector<std::string>& classes() const;
    RunState state() const;
    std::int64_t lastStep() const;
    std::uint64_t fileBytes() const;
    /// As it was when the file was read.
    RunHealth health() const;
    /// The stored snapshot of a lane at a step of snapshotSteps; throws Error naming the steps there are.
    Snapshot snapshot(int lane, std::int64_t step) const;

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace linscope
