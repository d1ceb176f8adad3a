#include "core/train/runner.h"

#include "core/base/error.h"

namespace linscope {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// What runTrainer keeps between two steps.
class Runner {
public:
    Runner(Trainer& trainer, CommandQueue& commands, const RunnerOptions& options)
        : m_trainer(trainer), m_commands(commands), m_options(options), m_paused(options.startPaused) {}

    RunState run() {
        m_trainer.begin();
        announce(m_paused ? RunState::Paused : RunState::Running);
        waitForRoomAndGoOn();
        const std::int64_t until = m_options.untilStep.value_or(m_trainer.experiment().steps);
        while (!m_stopped && !m_trainer.finished() && m_trainer.currentStep() < until) {
            obeyPosted();
            if (m_stopped || !m_trainer.lost().empty()) break;
            if (m_paused) {
                if (const auto command = m_commands.wait(200ms)) obey(*command);
                continue;
            }
            m_trainer.step();
            if (m_single) pauseAfterSingleStep();
            waitForRoomAndGoOn();
            showLive();
        }
        m_trainer.saveCheckpoint();
        const RunState end = m_trainer.finished() ? RunState::Finished : RunState::Stopped;
        announce(end);
        if (waitForRoom()) announce(end);  // it waited behind that
        if (!m_trainer.lost().empty()) throw FileLost(m_trainer.lost());
        return end;
    }

private:
    void announce(RunState state, const std::string& message = {}) {
        m_trainer.emit(RunStateEvent{m_trainer.currentStep(), state, message});
    }

    void log(const char* name) { m_trainer.emit(CommandEvent{.step = m_trainer.currentStep(), .name = name}); }

    void obeyPosted() {
        while (const auto command = m_commands.poll()) {
            obey(*command);
            if (m_stopped) return;
        }
    }

    void obey(const Command& command) {
        switch (command.kind) {
            case CommandKind::Run:
                if (!m_paused) return;
                m_paused = false;
                log("resume");
                announce(RunState::Running);
                return;
            case CommandKind::Pause:
                if (m_paused) return;
                m_paused = true;
                log("pause");
                announce(RunState::Paused);
                return;
            case CommandKind::Step:
                log("step");
                m_single = true;
                m_paused = false;
                return;
            case CommandKind::Stop:
                m_stopped = true;
                log("stop");
                return;
            default:
                m_trainer.apply(command);
        }
    }

    void pauseAfterSingleStep() {
        m_single = false;
        m_paused = true;
        announce(RunState::Paused);
        if (m_options.liveInterval) m_trainer.emitLiveSnapshots();
    }

    // Nothing more is computed while what was computed cannot be logged. Stop gives up waiting. Whether it has waited.
    bool waitForRoom() {
        if (m_trainer.blocked().empty()) return false;
        announce(RunState::Waiting, m_trainer.blocked());
        for (;;) {
            m_trainer.retry();
            if (m_trainer.blocked().empty() || m_stopped) return true;
            if (const auto command = m_commands.wait(1000ms)) obey(*command);
        }
    }

    void waitForRoomAndGoOn() {
        if (waitForRoom() && !m_stopped) announce(m_paused ? RunState::Paused : RunState::Running);
    }

    void showLive() {
        if (!m_options.liveInterval || m_paused) return;
        const auto now = Clock::now();
        if (now - m_lastLive < *m_options.liveInterval) return;
        m_trainer.emitLiveSnapshots();
        m_lastLive = Clock::now();
    }

    Trainer& m_trainer;
    CommandQueue& m_commands;
    const RunnerOptions& m_options;
    Clock::time_point m_lastLive{};
    bool m_paused, m_single = false, m_stopped = false;
};

}  // namespace

RunState runTrainer(Trainer& trainer, CommandQueue& commands, const RunnerOptions& options) {
    return Runner(trainer, commands, options).run();
}

}  // namespace linscope
