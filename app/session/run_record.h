#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/run_file.h"

namespace linscope::app {

/// A metric of run files (core/io/run_schema.h): its name there, and what it and its unit are called on axes and in
/// menus.
struct MetricInfo {
    std::string_view name, title, unit;
};

/// The metrics of a lane that are offered, in the order of the menus.
const std::vector<MetricInfo>& knownMetrics();
/// "Loss (nats)" for a known metric, the name itself for another one.
std::string metricTitle(std::string_view name);

enum class LogKind {
    State,
    Command,
    Change,  ///< a command that changes how lanes learn from that step on: what charts mark
    Checkpoint,
    Lane,
    Note
};

/// One line of the Events list.
struct LogEntry {
    std::int64_t step = 0;
    int lane = -1;  ///< −1: the whole run
    LogKind kind = LogKind::Note;
    std::string text;
    std::string mark;  ///< of a change: what charts say of it
};

/// What the window knows of one run, whether it is read from a file or grows from live events: plain
/// data that panels read and only the session writes.
struct RunRecord {
    Experiment experiment;
    std::string taskDescription;
    std::string place;  ///< where it computes: "the processor, 2 threads"; empty when it comes from a file
    std::vector<LaneRecord> lanes;
    std::vector<TaskBaseline> baselines;
    std::vector<LogEntry> log;
    RunState state = RunState::Paused;
    std::string stateMessage;
    RunHealth health = RunHealth::Whole;  ///< of the file, when it was read; of a run that trains here as it will be
    std::int64_t lastStep = 0;
    double wallSeconds = 0;             ///< of training, without pauses; 0 when it comes from a file
    std::vector<double> learningRates;  ///< as last used, one for each lane; 0 before the first step
    std::vector<double> peakRates;      ///< what the schedule is a share of, as last set, one for each lane
    std::vector<bool> freezable;        ///< the lane has projections that learn; known of a run that has started
    std::vector<bool> frozen;           ///< they get no steps

    static RunRecord fromExperiment(const Experiment& experiment);
    static RunRecord fromReader(const RunFileReader& reader);

    /// Takes over what the event says.
    void apply(const Event& event);
    void note(LogKind kind, std::string text, int lane = -1);
    /// Forgets what was measured and changed after `step`: a run that goes on from an older checkpoint makes those
    /// steps anew, and its file has them once.
    void rewind(std::int64_t step);

    /// Steps that have a stored snapshot in any lane, ascending.
    std::vector<std::int64_t> snapshotSteps() const;

private:
    /// What is known of each lane beside its measurements, as at the start.
    void forLanes();
};

/// The series of that name; nullptr when the lane has none.
const Series* findSeries(const LaneRecord& lane, std::string_view metric);

}  // namespace linscope::app
