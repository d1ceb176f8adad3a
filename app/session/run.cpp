#include "app/session/run.h"

#include <QObject>

namespace linscope::app {

namespace {
constexpr double kWindowSeconds = 5;
}

void Pace::add(std::int64_t step, double wallSeconds) {
    if (!m_recent.empty() && step <= m_recent.back().first) m_recent.clear();
    m_recent.emplace_back(step, wallSeconds);
    while (m_recent.size() > 3 && m_recent.back().second - m_recent.front().second > kWindowSeconds)
        m_recent.pop_front();
}

double Pace::stepsPerSecond() const {
    if (m_recent.size() < 2) return 0;
    const double seconds = m_recent.back().second - m_recent.front().second;
    return seconds > 0 ? static_cast<double>(m_recent.back().first - m_recent.front().first) / seconds : 0;
}

QString stateText(const Run& run) {
    if (!run.error.empty()) return QObject::tr("failed");
    if (run.loading) return run.live() ? QObject::tr("preparing") : QObject::tr("reading");
    return QString::fromUtf8(stateName(run.record.state, run.record.health));
}

QString stateDetail(const Run& run) {
    if (run.waiting) return QObject::tr("once the run before it has ended");
    if (!run.error.empty() || run.loading) return {};
    if (run.record.health == RunHealth::BeingWritten) return QObject::tr("in another program");
    if (run.record.health == RunHealth::CutOff) return QObject::tr("its program is gone and has not ended it");
    return run.record.state == RunState::Waiting ? QString::fromStdString(run.record.stateMessage) : QString();
}

}  // namespace linscope::app
