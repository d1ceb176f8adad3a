#pragma once

#include <vulkan/vulkan.h>

#include <utility>

namespace linscope::viz {

/// Owns one Vulkan object that belongs to a VkDevice; movable, not copyable.
/// `Destroy` is its vkDestroy… or vkFree… function, whose parameters are (device, object, allocator).
template <typename Object, auto Destroy>
class Handle {
public:
    Handle() = default;
    Handle(VkDevice device, Object object) : m_device(device), m_object(object) {}
    ~Handle() { reset(); }
    Handle(Handle&& other) noexcept
        : m_device(other.m_device), m_object(std::exchange(other.m_object, Object{VK_NULL_HANDLE})) {}
    Handle& operator=(Handle&& other) noexcept {
        if (this != &other) {
            reset();
            m_device = other.m_device;
            m_object = std::exchange(other.m_object, Object{VK_NULL_HANDLE});
        }
        return *this;
    }

    Object get() const { return m_object; }
    const Object* address() const { return &m_object; }
    explicit operator bool() const { return m_object != VK_NULL_HANDLE; }
    void reset() noexcept {
        if (m_object != VK_NULL_HANDLE) Destroy(m_device, m_object, nullptr);
        m_object = VK_NULL_HANDLE;
    }

private:
    VkDevice m_device = VK_NULL_HANDLE;
    Object m_object = VK_NULL_HANDLE;
};

using MemoryHandle = Handle<VkDeviceMemory, vkFreeMemory>;
using BufferHandle = Handle<VkBuffer, vkDestroyBuffer>;
using BufferViewHandle = Handle<VkBufferView, vkDestroyBufferView>;
using ImageHandle = Handle<VkImage, vkDestroyImage>;
using ImageViewHandle = Handle<VkImageView, vkDestroyImageView>;
using RenderPassHandle = Handle<VkRenderPass, vkDestroyRenderPass>;
using FramebufferHandle = Handle<VkFramebuffer, vkDestroyFramebuffer>;
using ShaderHandle = Handle<VkShaderModule, vkDestroyShaderModule>;
using PipelineLayoutHandle = Handle<VkPipelineLayout, vkDestroyPipelineLayout>;
using PipelineHandle = Handle<VkPipeline, vkDestroyPipeline>;
using DescriptorLayoutHandle = Handle<VkDescriptorSetLayout, vkDestroyDescriptorSetLayout>;
using DescriptorPoolHandle = Handle<VkDescriptorPool, vkDestroyDescriptorPool>;
using CommandPoolHandle = Handle<VkCommandPool, vkDestroyCommandPool>;
using FenceHandle = Handle<VkFence, vkDestroyFence>;
using SemaphoreHandle = Handle<VkSemaphore, vkDestroySemaphore>;

}  // namespace linscope::viz
