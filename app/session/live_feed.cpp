#include "app/session/live_feed.h"

#include <utility>

namespace linscope::app {

LiveFeed::LiveFeed(std::function<void()> wake, std::size_t capacity) : m_wake(std::move(wake)), m_capacity(capacity) {}

void LiveFeed::onEvent(const Event& event) {
    bool wake = false;
    {
        const std::lock_guard lock(m_mutex);
        const auto* snapshot = std::get_if<SnapshotEvent>(&event);
        if (snapshot && snapshot->snapshot) m_waiting.snapshots[snapshot->snapshot->lane] = snapshot->snapshot;
        if (!snapshot || (snapshot->store && snapshot->snapshot)) {
            if (m_waiting.events.size() >= m_capacity) {
                ++m_waiting.lost;
            } else if (snapshot) {
                auto mark = std::make_shared<Snapshot>();
                mark->step = snapshot->snapshot->step;
                mark->lane = snapshot->snapshot->lane;
                m_waiting.events.emplace_back(SnapshotEvent{std::move(mark), true});
            } else {
                m_waiting.events.push_back(event);
            }
        }
        wake = !std::exchange(m_awake, true);
    }
    if (wake && m_wake) m_wake();
}

LiveFeed::Batch LiveFeed::take() {
    const std::lock_guard lock(m_mutex);
    m_awake = false;
    return std::exchange(m_waiting, {});
}

}  // namespace linscope::app
