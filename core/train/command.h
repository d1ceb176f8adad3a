#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

namespace linscope {

enum class CommandKind { Run, Pause, Step, Stop, Checkpoint, SetLearningRate, Freeze, Unfreeze };

/// What a person asks of a running trainer; carried out between two steps and logged as a CommandEvent.
struct Command {
    CommandKind kind = CommandKind::Run;
    int lane = -1;     ///< for SetLearningRate, and for Freeze and Unfreeze, which are of projections; −1: all lanes
    double value = 0;  ///< for SetLearningRate: the new peak rate
};

/// Commands from any thread to the one that steps the trainer.
class CommandQueue {
public:
    void post(Command command);
    std::optional<Command> poll();
    /// Waits until there is one, or until `timeout` has passed.
    std::optional<Command> wait(std::chrono::milliseconds timeout);

private:
    std::mutex m_mutex;
    std::condition_variable m_posted;
    std::deque<Command> m_commands;
};

}  // namespace linscope
