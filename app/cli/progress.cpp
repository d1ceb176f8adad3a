#include "app/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include "app/cli/standard_streams.h"

namespace linscope::app {

ProgressLine::ProgressLine() : ProgressLine(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
    finish();
}

void ProgressLine::update(const std::string& text, bool always) {
    const Clock::time_point now = Clock::now();
    const auto interval = m_terminal ? std::chrono::milliseconds(100) : std::chrono::milliseconds(2000);
    if (!always && m_last && now - *m_last < interval) return;
    m_last = now;
    if (m_terminal) {
        // Wrapped, it could not be written over: the terminal cuts it off at its edge, whatever its width.
        say("\r\x1b[?7l{}\x1b[K\x1b[?7h", text);
        m_open = true;
    } else {
        say("{}\n", text);
    }
}

void ProgressLine::note(const std::string& text) {
    if (m_open) say("\r\x1b[K");
    m_open = false;
    say("{}\n", text);
}

void ProgressLine::finish() {
    if (m_open) say("\n");
    m_open = false;
}

}  // namespace linscope::app
