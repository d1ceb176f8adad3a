#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "core/train/event.h"

namespace linscope::app {

/// Hands events from the trainer's thread to the window's. Events wait in a bounded queue in their order;
/// of snapshots only the newest of each lane is kept, since each is large and only the newest is drawn.
/// The trainer never waits: what does not fit is counted and left out (the run file has it).
class LiveFeed : public EventSink {
public:
    struct Batch {
        std::vector<Event> events;  ///< a stored snapshot is here without its numbers: step and lane only
        std::map<int, std::shared_ptr<const Snapshot>> snapshots;  ///< lane → newest
        std::int64_t lost = 0;                                     ///< events that did not fit
    };

    /// `wake` is called on the trainer's thread when the first event comes in after a take().
    explicit LiveFeed(std::function<void()> wake, std::size_t capacity = 65536);

    void onEvent(const Event& event) override;
    /// All that waits; never blocks for long.
    Batch take();

private:
    std::function<void()> m_wake;
    std::size_t m_capacity;
    std::mutex m_mutex;
    Batch m_waiting;
    bool m_awake = false;
};

}  // namespace linscope::app
