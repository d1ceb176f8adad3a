#include "app/session/run.h"

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

}  // namespace linscope::app
