#include "app/cli/train_console.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/amount_text.h"
#include "core/base/overloaded.h"

namespace linscope::app {
namespace {

constexpr std::size_t kRateSteps = 50;

}  // namespace

TrainConsole::TrainConsole(std::vector<std::string> laneNames, std::int64_t firstStep, std::int64_t lastStep)
    : m_names(std::move(laneNames)), m_firstStep(firstStep), m_lastStep(lastStep), m_validated(m_names.size()) {}

void TrainConsole::onEvent(const Event& event) {
    std::visit(Overloaded{
                   [this](const StepEvent& step) { onStep(step); },
                   [this](const ValidationEvent& validation) {
                       m_validated[validation.lane] =
                           std::isnan(validation.bitsPerByte)
                               ? fmt::format(" val {:.1f} % right", 100 * validation.accuracy)
                               : fmt::format(" val {:.3f} bits", validation.bitsPerByte);
                   },
                   [this](const LaneStateEvent& lane) {
                       if (lane.state == LaneState::Running) return;
                       m_progress.note(fmt::format("lane \"{}\" stopped at step {}: {}", m_names[lane.lane], lane.step,
                                                   lane.message));
                   },
                   [this](const RunStateEvent& run) {
                       if (run.state == RunState::Waiting)
                           m_progress.note(fmt::format("waiting at step {}: {}", run.step, run.message));
                       // The last validation comes behind the last step.
                       const bool over = run.state == RunState::Finished || run.state == RunState::Stopped;
                       if (over && !m_last.lanes.empty()) show(true);
                   },
                   [](const auto&) {},
               },
               event);
}

void TrainConsole::onStep(const StepEvent& event) {
    m_recent.push_back({event.step, event.wallSeconds});
    if (m_recent.size() > kRateSteps) m_recent.pop_front();
    m_last = event;
    show(event.step == m_firstStep + 1);
}

void TrainConsole::show(bool stays) {
    const StepEvent& event = m_last;
    std::string text = fmt::format("step {}/{}", event.step, m_lastStep);
    // Before the lanes, which a narrow terminal may have no room for.
    if (const double perStep = secondsPerStep(); perStep > 0)
        text += fmt::format("  {:.2f} steps/s  {} left", 1 / perStep,
                            durationText(perStep * static_cast<double>(m_lastStep - event.step)));
    for (std::size_t i = 0; i < event.lanes.size(); ++i) {
        const LaneStep& lane = event.lanes[i];
        text += lane.stepped ? fmt::format("  {}: loss {:.4f}", m_names[i], lane.loss)
                             : fmt::format("  {}: stopped", m_names[i]);
        text += m_validated[i];
    }
    m_progress.update(text, stays);
}

double TrainConsole::secondsPerStep() const {
    if (m_recent.size() < 2) return 0;
    const Mark& first = m_recent.front();
    const Mark& last = m_recent.back();
    return (last.seconds - first.seconds) / static_cast<double>(std::max<std::int64_t>(1, last.step - first.step));
}

}  // namespace linscope::app
