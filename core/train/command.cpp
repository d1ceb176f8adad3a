#include "core/train/command.h"

namespace linscope {

void CommandQueue::post(Command command) {
    {
        const std::lock_guard lock(m_mutex);
        m_commands.push_back(std::move(command));
    }
    m_posted.notify_one();
}

std::optional<Command> CommandQueue::poll() {
    return wait(std::chrono::milliseconds(0));
}

std::optional<Command> CommandQueue::wait(std::chrono::milliseconds timeout) {
    std::unique_lock lock(m_mutex);
    if (!m_posted.wait_for(lock, timeout, [this] { return !m_commands.empty(); })) return std::nullopt;
    Command command = std::move(m_commands.front());
    m_commands.pop_front();
    return command;
}

}  // namespace linscope
