#pragma once

#include <csignal>
#include <functional>
#include <thread>

namespace linscope::app {

/// Turns SIGINT, SIGTERM and SIGHUP into a call on a thread of its own: the first asks to stop in good order, a
/// second SIGINT ends the program at once. Made before any other thread, which then inherits that these
/// signals are blocked.
class StopSignals {
public:
    explicit StopSignals(std::function<void()> onStop);
    ~StopSignals();
    StopSignals(const StopSignals&) = delete;
    StopSignals& operator=(const StopSignals&) = delete;

private:
    void watch(const std::stop_token& ended, const std::function<void()>& onStop) const;

    sigset_t m_signals{};
    sigset_t m_before{};
    std::jthread m_thread;
};

}  // namespace linscope::app
