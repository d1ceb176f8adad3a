#include "app/cli/signals.h"

#include <pthread.h>

#include <cstdlib>
#include <ctime>
#include <utility>

namespace linscope::app {

StopSignals::StopSignals(std::function<void()> onStop) {
    sigemptyset(&m_signals);
    sigaddset(&m_signals, SIGINT);
    sigaddset(&m_signals, SIGTERM);
    sigaddset(&m_signals, SIGHUP);  // a session that is closed
    pthread_sigmask(SIG_BLOCK, &m_signals, &m_before);
    m_thread = std::jthread([this, call = std::move(onStop)](const std::stop_token& ended) { watch(ended, call); });
}

StopSignals::~StopSignals() {
    m_thread.request_stop();
    m_thread.join();
    pthread_sigmask(SIG_SETMASK, &m_before, nullptr);
}

void StopSignals::watch(const std::stop_token& ended, const std::function<void()>& onStop) const {
    const timespec patience{.tv_sec = 0, .tv_nsec = 50'000'000};
    bool asked = false;
    while (!ended.stop_requested()) {
        const int signal = sigtimedwait(&m_signals, nullptr, &patience);
        if (signal < 0) continue;
        // The run file is readable whenever the program ends, so impatience costs a flush interval at most.
        if (asked && signal == SIGINT) std::_Exit(130);
        asked = true;
        onStop();
    }
}

}  // namespace linscope::app
