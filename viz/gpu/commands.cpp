#include "viz/gpu/commands.h"

#include <cstdint>

#include "viz/gpu/check.h"
#include "viz/gpu/device.h"

namespace linscope::viz {

CommandContext::CommandContext(Device& device) : m_device(&device) {
    VkCommandPoolCreateInfo poolInfo{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    poolInfo.flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
    poolInfo.queueFamilyIndex = device.queueFamily();
    VkCommandPool pool = VK_NULL_HANDLE;
    check(vkCreateCommandPool(device.handle(), &poolInfo, nullptr, &pool), "vulkan", "create a command pool");
    m_pool = CommandPoolHandle(device.handle(), pool);

    VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    info.commandPool = pool;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    check(vkAllocateCommandBuffers(device.handle(), &info, &m_commands), "vulkan", "allocate a command buffer");

    const VkFenceCreateInfo fenceInfo{VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkFence fence = VK_NULL_HANDLE;
    check(vkCreateFence(device.handle(), &fenceInfo, nullptr, &fence), "vulkan", "create a fence");
    m_fence = FenceHandle(device.handle(), fence);
}

CommandContext::~CommandContext() {
    if (m_inFlight && m_fence) vkWaitForFences(m_device->handle(), 1, m_fence.address(), VK_TRUE, UINT64_MAX);
}

VkCommandBuffer CommandContext::begin() {
    wait();
    check(vkResetCommandPool(m_device->handle(), m_pool.get(), 0), "vulkan", "reset a command pool");
    VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    check(vkBeginCommandBuffer(m_commands, &info), "vulkan", "begin recording");
    return m_commands;
}

void CommandContext::submit(VkSemaphore wait, VkSemaphore signal) {
    check(vkEndCommandBuffer(m_commands), "vulkan", "end recording");
    check(vkResetFences(m_device->handle(), 1, m_fence.address()), "vulkan", "reset a fence");
    const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT;
    VkSubmitInfo info{VK_STRUCTURE_TYPE_SUBMIT_INFO};
    info.waitSemaphoreCount = wait ? 1 : 0;
    info.pWaitSemaphores = &wait;
    info.pWaitDstStageMask = &stage;
    info.commandBufferCount = 1;
    info.pCommandBuffers = &m_commands;
    info.signalSemaphoreCount = signal ? 1 : 0;
    info.pSignalSemaphores = &signal;
    m_device->submit(info, m_fence.get());
    m_inFlight = true;
}

void CommandContext::wait() {
    if (!m_inFlight) return;
    check(vkWaitForFences(m_device->handle(), 1, m_fence.address(), VK_TRUE, UINT64_MAX), "vulkan", "finish a frame");
    m_inFlight = false;
}

void runOnce(Device& device, const std::function<void(VkCommandBuffer)>& record) {
    CommandContext context(device);
    record(context.begin());
    context.submit();
    context.wait();
}

}  // namespace linscope::viz
