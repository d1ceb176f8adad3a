#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/data/task.h"
#include "core/experiment/experiment.h"
#include "core/train/command.h"
#include "core/train/event.h"

namespace linscope::app {

/// Token → its text; shared by all snapshots of a run.
using TokenTexts = std::shared_ptr<const std::vector<std::string>>;
TokenTexts tokenTextsOf(const Task& task);

struct RunRequest {
    Experiment experiment;
    std::filesystem::path file;  ///< the run file that is gone on with; of a new run a name for claimRunFile()
    std::optional<std::int64_t> untilStep;  ///< stop after this step; the experiment's own when empty
    bool goesOn = false;                    ///< from the newest checkpoint of `file`, appending to it
    std::string device = "auto";            ///< as for chosenDevice()
};

/// What is known once the task is read and the lanes are built.
struct RunStart {
    std::filesystem::path file;           ///< that is written
    std::vector<std::string> passedOver;  ///< FoundCheckpoint::passedOver
    std::string taskDescription;
    std::vector<TaskBaseline> baselines;
    struct LaneStart {
        std::int64_t parameters = 0;
        bool projectionsTrainable = false, projectionsFrozen = false;
        double peakLearningRate = 0;
        LaneState state = LaneState::Running;
        std::string message;  ///< of a lane that has stopped
    };
    std::int64_t step = 0;  ///< from which it goes on
    std::vector<LaneStart> lanes;
    std::string place;  ///< where it computes, for people
    TokenTexts tokenTexts;
};

struct RunEnd {
    RunState state = RunState::Stopped;
    std::string error;  ///< empty when all went well
};

/// A run on a thread of its own: builds the trainer there, logs to the run file, saves a checkpoint at
/// the end. The thread runs at a lower priority than the window, and OpenMP's threads inherit that.
class RunWorker {
public:
    struct Callbacks {  // called on the worker's thread
        std::function<void(RunStart)> started;
        std::function<void(RunEnd)> ended;
    };

    /// `feed` must outlive the worker.
    RunWorker(RunRequest request, EventSink& feed, Callbacks callbacks);
    /// Stops after the step that is under way, saves a checkpoint, and waits for that.
    ~RunWorker();

    void post(Command command) { m_commands.post(std::move(command)); }
    void requestStop();

private:
    void work();
    RunState train();

    RunRequest m_request;
    EventSink& m_feed;
    Callbacks m_callbacks;
    CommandQueue m_commands;
    std::thread m_thread;  // last: starts when all else is there
};

}  // namespace linscope::app
