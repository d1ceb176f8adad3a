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
    double secondsPerStep() const;

    struct Mark {
        std::int64_t step;
        double seconds;
    };
    std::vector<std::string> m_names;
    std::int64_t m_firstStep, m_lastStep;
    std::vector<double> m_bits;  ///< newest validation of each lane, NaN before the first
    std::deque<Mark> m_recent;   ///< the last steps, for the rate
    ProgressLine m_progress;
};

/// Makes the run file whole up to every checkpoint, so that a run which is killed right after it can go
/// on from there without a gap.
class FlushAtCheckpoint : public EventSink {
public:
    explicit FlushAtCheckpoint(RunFileWriter& writer) : m_writer(writer) {}
    void onEvent(const Event& event) override {
        if (std::holds_alternative<CheckpointEvent>(event)) m_writer.flush();
    }

private:
    RunFileWriter& m_writer;
};

}  // namespace linscope::app
