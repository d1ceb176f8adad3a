#pragma once

#include <cstdint>

#include "viz/gpu/handle.h"

namespace linscope::viz {

class Device;

/// A timeline semaphore (VK_KHR_timeline_semaphore) of the device's one queue, for orders with work outside Vulkan.
class Timeline {
public:
    /// With `exported`, exportSemaphore() can give it away. Throws Error where the extension is missing.
    Timeline(Device& device, bool exported);

    /// A file descriptor, the caller's to close or to give away.
    int exportSemaphore() const;
    /// All that is submitted to the queue from here on waits for `value`.
    void await(std::uint64_t value);
    /// Sets `value` when all that has been submitted to the queue so far is done.
    void signal(std::uint64_t value);
    std::uint64_t value() const;  ///< now

private:
    Device* m_device;
    SemaphoreHandle m_semaphore;
};

}  // namespace linscope::viz
