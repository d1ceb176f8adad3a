#pragma once

#include <functional>

#include "viz/gpu/handle.h"

namespace linscope::viz {

class Device;

/// One command buffer with its pool and its fence: what one frame in flight needs. Used by one thread.
class CommandContext {
public:
    explicit CommandContext(Device& device);
    /// Waits for a submission under way, without throwing.
    ~CommandContext();
    CommandContext(CommandContext&&) noexcept = default;
    CommandContext& operator=(CommandContext&&) = delete;

    /// Waits until the last submission has finished, resets and begins recording.
    VkCommandBuffer begin();
    /// Ends recording and submits. With semaphores: waits for `wait` before colour output, signals `signal`.
    void submit(VkSemaphore wait = VK_NULL_HANDLE, VkSemaphore signal = VK_NULL_HANDLE);
    /// Waits for the last submission.
    void wait();
    VkCommandBuffer commands() const { return m_commands; }

private:
    Device* m_device;
    CommandPoolHandle m_pool;
    VkCommandBuffer m_commands = VK_NULL_HANDLE;
    FenceHandle m_fence;
    bool m_inFlight = false;
};

/// Records with `record`, submits and waits: for set-up and off-screen work.
void runOnce(Device& device, const std::function<void(VkCommandBuffer)>& record);

}  // namespace linscope::viz
