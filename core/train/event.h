#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/analysis/projection_health.h"
#include "core/train/snapshot.h"

namespace linscope {

enum class LaneState { Running, Diverged, Failed };
/// As files and people see it, by the state's number.
inline constexpr std::array<const char*, 3> kLaneStateNames{"running", "diverged", "failed"};
constexpr const char* nameOf(LaneState state) {
    return kLaneStateNames.at(static_cast<std::size_t>(state));
}

/// One optimizer step of one lane.
struct LaneStep {
    double loss = 0;          ///< mean cross-entropy over the selected places, nats
    double accuracy = 0;      ///< share of selected places predicted right, 0…1
    double gradientNorm = 0;  ///< before clipping
    double learningRate = 0;
    double milliseconds = 0;  ///< wall time of the lane's step
    double tokensPerSecond = 0;
    double memoryBytes = 0;  ///< of the lane: parameters, optimizer and the peak of its step arena
    bool stepped = true;     ///< false: the lane has stopped, the values are NaN
};

/// All lanes made the step `step` (1 is the first). Lanes in the experiment's order.
struct StepEvent {
    std::int64_t step = 0;
    double wallSeconds = 0;  ///< since the trainer was made, without pauses
    std::vector<LaneStep> lanes;
};

struct ValidationEvent {
    std::int64_t step = 0;
    int lane = 0;
    double loss = 0;         ///< nats
    double bitsPerByte = 0;  ///< loss / ln 2; NaN where answers are no bytes (TaskInfo::predictsBytes)
    double accuracy = 0;
};

struct ProjectionProbe {
    std::string label;  ///< Projection::label()
    std::int64_t slots = 0, length = 0;
    ProjectionHealth health;
    int layer = -1, head = -1;  ///< −1: shared by all of them
};

struct ProbeEvent {
    std::int64_t step = 0;
    int lane = 0;
    double milliseconds = 0;  ///< what the probe cost
    std::vector<ProjectionProbe> projections;
};

struct SnapshotEvent {
    std::shared_ptr<const Snapshot> snapshot;
    bool store = false;  ///< due by probes.snapshot_every; false: made for live views only
};

/// A step of a lane on a device was computed a second time on the processor (core/train/device_check.h).
struct DeviceCheckEvent {
    /// Entries of gradients by their errors: below 1e-9, then a decade each, and at the end 1 and more, or not a
    /// number.
    static constexpr std::size_t kBins = 11;
    static constexpr double kLowest = 1e-9;
    static std::size_t binOf(double error);

    std::int64_t step = 0;
    int lane = 0;
    double lossError = 0, normError = 0;  ///< relative
    double worstError = 0;                ///< of an entry of a gradient
    std::string worstParameter;
    double milliseconds = 0;  ///< what the second computation took
    std::array<std::int64_t, kBins> errors{};
};

/// A person or a script changed something between two steps.
struct CommandEvent {
    std::int64_t step = 0;  ///< the last finished step
    int lane = -1;          ///< −1: all lanes
    std::string name;  ///< "pause", "resume", "step", "stop", "set_learning_rate", "freeze", "unfreeze", "checkpoint"
    std::string oldValue, newValue;
};

struct LaneStateEvent {
    std::int64_t step = 0;
    int lane = 0;
    LaneState state = LaneState::Running;
    std::string message;  ///< for Diverged: which tensor was first not finite
};

struct CheckpointEvent {
    std::int64_t step = 0;
    std::string path;
};

enum class RunState { Running, Paused, Waiting, Stopped, Finished };
inline constexpr std::array<const char*, 5> kRunStateNames{"running", "paused", "waiting", "stopped", "finished"};
constexpr const char* nameOf(RunState state) {
    return kRunStateNames.at(static_cast<std::size_t>(state));
}

struct RunStateEvent {
    std::int64_t step = 0;
    RunState state = RunState::Running;
    std::string message;  ///< for Waiting: what for ("disk full …")
};

/// All that happens leaves the trainer once, as one of these.
using Event = std::variant<StepEvent, ValidationEvent, ProbeEvent, SnapshotEvent, DeviceCheckEvent, CommandEvent,
                           LaneStateEvent, CheckpointEvent, RunStateEvent>;

/// Listens to a trainer, on the thread that steps it. The run file, the live feed of the window and
/// the console are listeners.
class EventSink {
public:
    virtual ~EventSink() = default;
    /// May throw StorageFull: the trainer then waits between two steps and calls flush() until it succeeds. May throw
    /// FileLost, having kept the event: the run then stops.
    virtual void onEvent(const Event& event) = 0;
    virtual void flush() {}
};

}  // namespace linscope
