#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/experiment/experiment.h"
#include "core/tensor/tensor.h"
#include "core/train/command.h"
#include "core/train/event.h"

namespace linscope {

class Lane;
class Task;

/// Trains the lanes of one experiment in lock-step: the same batches, the same initial values for all
/// parameters that lanes share by name. It owns no thread and no file: events go to the listeners.
class Trainer {
public:
    /// Reads the task's data and builds every lane, on `device`. Throws Error on anything the experiment asks that
    /// cannot be.
    explicit Trainer(Experiment experiment, Device device = Device::Cpu);
    ~Trainer();

    /// From now on a share of the steps, 0 to 1, is computed a second time on the processor, and compared: one
    /// DeviceCheckEvent for each such step of a lane (core/train/device_check.h).
    void checkDevice(double fraction);

    /// Listeners are not owned and must outlive the trainer or be removed.
    void addListener(EventSink& listener);
    void removeListener(EventSink& listener);

    /// Emits what stands before the first step: validation, probes and snapshots of step 0 (or of the
    /// resumed step, where they are not emitted again).
    void begin();
    /// One step of every lane that runs, then whatever is due: validation, probes, snapshot, checkpoint.
    void step();
    /// Carries out a command that concerns training itself (rate, freezing, checkpoint) and emits it.
    void apply(const Command& command);
    void emit(const Event& event);

    /// Why a listener or a checkpoint could not be written (the disk is full); empty when all is written.
    const std::string& blocked() const { return m_blocked; }
    /// Which file of a listener was taken away, and where its contents are; empty as long as none was.
    const std::string& lost() const { return m_lost; }
    /// Tries again what could not be written.
    void retry();

    /// Loss and accuracy of each running lane on the held-out batches, as events.
    void validate();
    /// A snapshot of each lane now, without storing it; for live views.
    void emitLiveSnapshots();

    /// Where checkpoints go: a folder; none are written while it is empty. `run` is written into each: the id of the
    /// run file that they belong to.
    void setCheckpointFolder(std::filesystem::path folder, std::string run = {});
    /// Writes the state as a checkpoint (write aside, then rename), removes those that are too old, and emits
    /// the event. With a full disk it is left to retry().
    void saveCheckpoint();
    /// Takes over parameters, optimizer, random streams, data cursor and step of a checkpoint of the same experiment.
    /// With `lane` this trainer has one lane, and it is that one of the checkpoint's.
    void loadCheckpoint(const std::filesystem::path& path, std::optional<int> lane = {});

    const Experiment& experiment() const { return m_experiment; }
    std::int64_t currentStep() const { return m_step; }
    bool anyLaneRuns() const;
    /// All steps are done, or no lane is left that could do one.
    bool finished() const;
    const Task& task() const { return *m_task; }
    std::size_t laneCount() const;
    Lane& lane(std::size_t index);

private:
    /// Whether `work` of a lane was done. What it throws (memory is short, a kernel failed, the device is gone) stops
    /// that lane alone.
    bool attempt(Lane& lane, const std::function<void()>& work);
    /// Tells the listeners which lanes have stopped since.
    void tellStopped();
    void stepLanes(std::vector<LaneStep>& results, std::vector<DeviceCheckEvent>& checked);
    void validate(std::int64_t batches);
    void probe();
    void snapshots(bool store);
    void checkpointIfDue();
    void flushListeners();

    Experiment m_experiment;
    std::int64_t m_step = 0;
    std::unique_ptr<Task> m_task;
    std::vector<std::unique_ptr<Lane>> m_lanes;
    std::vector<EventSink*> m_listeners;
    std::filesystem::path m_checkpointFolder;
    std::string m_runId;
    std::string m_blocked, m_lost;
    struct Work;  ///< batches and scratch that live as long as the trainer
    std::unique_ptr<Work> m_work;
};

}  // namespace linscope
