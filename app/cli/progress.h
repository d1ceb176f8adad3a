#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace linscope::app {

/// Progress on stderr: on a terminal one line that is written over, elsewhere a plain line every two
/// seconds at most.
class ProgressLine {
public:
    ProgressLine();
    explicit ProgressLine(bool terminal) : m_terminal(terminal) {}
    ~ProgressLine();
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

    /// The current state; `always` prints it however little time has passed.
    void update(const std::string& text, bool always = false);
    /// A line of its own that stays.
    void note(const std::string& text);
    /// Ends the line that is written over, and leaves it.
    void finish();

private:
    using Clock = std::chrono::steady_clock;
    bool m_terminal;
    bool m_open = false;  // a line without its end is on the terminal
    std::optional<Clock::time_point> m_last;
};

}  // namespace linscope::app
