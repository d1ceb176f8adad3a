#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "app/cli/progress.h"
#include "core/io/run_file.h"
#include "core/train/event.h"

namespace linscope::app {

/// Says on stderr what a training does: a line of progress, and what a person must not miss.
class TrainConsole : public EventSink {
public:
    TrainConsole(std::vector<std::string> laneNames, std::int64_t firstStep, std::int64_t lastStep);
    void onEvent(const Event& event) override;
    void finish() { m_progress.finish(); }

private:
    void onStep(const StepEvent& event);
    /// The line of the last step, which is kept on screen where `stays`.
    void show(bool stays);
    double secondsPerStep() const;

    struct Mark {
        std::int64_t step;
        double seconds;
    };
    std::vector<std::string> m_names;
    std::int64_t m_firstStep, m_lastStep;
    std::vector<std::string> m_validated;  ///< newest validation of each lane, empty before the first
    std::deque<Mark> m_recent;             ///< the last steps, for the rate
    StepEvent m_last;
    ProgressLine m_progress;
};

}  // namespace linscope::app
