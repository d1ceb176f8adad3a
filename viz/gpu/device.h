#pragma once

#include <vulkan/vulkan.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace linscope::viz {

/// What Vulkan and CUDA know a device by.
using DeviceUuid = std::array<std::uint8_t, 16>;

/// What a validation layer or the driver has to say.
struct DeviceMessage {
    bool isError = false;  ///< otherwise a warning
    std::string text;
};

struct DeviceOptions {
    std::string applicationName = "Linscope";
    bool validation = false;  ///< VK_LAYER_KHRONOS_validation; Error where the layer is not installed
    std::function<void(const DeviceMessage&)> onMessage;  ///< warnings and errors; called on any thread
    bool presentation = true;                    ///< surface and swapchain extensions, as far as they are there
    std::vector<std::string> surfaceExtensions;  ///< instance extensions that must be there, Error otherwise
    /// Part of the name of the wanted device, whatever its case ("llvmpipe"). Empty: the environment
    /// variable LINSCOPE_VULKAN_DEVICE, and without it discrete before integrated, virtual and CPU.
    std::string deviceName;
};

/// The one VkDevice of the program with its instance and one queue for graphics, compute and copies.
/// Window and off-screen pictures share it. It must outlive all that is made from it.
class Device {
public:
    /// Throws Error with a sentence that names the package to install when there is no Vulkan loader,
    /// driver or device, or when a required layer or extension is missing.
    explicit Device(const DeviceOptions& options = {});
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    VkInstance instance() const { return m_instance; }
    VkPhysicalDevice physical() const { return m_physical; }
    VkDevice handle() const { return m_device; }
    VkQueue queue() const { return m_queue; }
    std::uint32_t queueFamily() const { return m_queueFamily; }
    const VkPhysicalDeviceProperties& properties() const { return m_properties; }
    std::string name() const { return m_properties.deviceName; }
    bool hasInstanceExtension(const std::string& name) const;  ///< enabled, not only available
    bool hasDeviceExtension(const std::string& name) const;    ///< enabled: VK_KHR_swapchain is what a window needs

    const std::vector<std::string>& deviceExtensions() const { return m_deviceExtensions; }
    const DeviceUuid& uuid() const { return m_uuid; }

    /// vkQueueSubmit under a lock, so that a picture may be rendered on another thread than the window.
    void submit(const VkSubmitInfo& submit, VkFence fence);
    /// vkQueuePresentKHR under the same lock; the result is the caller's to judge.
    VkResult present(const VkPresentInfoKHR& present);
    void waitIdle();

    /// Index of a memory type among `typeBits` with all `wanted` flags, preferring those that also
    /// have `preferred`. Throws Error when there is none.
    std::uint32_t memoryType(std::uint32_t typeBits, VkMemoryPropertyFlags wanted,
                             VkMemoryPropertyFlags preferred = 0) const;

private:
    void createInstance(const DeviceOptions& options);
    void choosePhysical(const DeviceOptions& options);
    void createDevice(const DeviceOptions& options);
    void destroy() noexcept;

    std::function<void(const DeviceMessage&)> m_onMessage;
    VkInstance m_instance = VK_NULL_HANDLE;
    VkDebugUtilsMessengerEXT m_messenger = VK_NULL_HANDLE;
    VkPhysicalDevice m_physical = VK_NULL_HANDLE;
    VkPhysicalDeviceProperties m_properties{};
    VkPhysicalDeviceMemoryProperties m_memory{};
    DeviceUuid m_uuid{};
    VkDevice m_device = VK_NULL_HANDLE;
    VkQueue m_queue = VK_NULL_HANDLE;
    std::uint32_t m_queueFamily = 0;
    std::vector<std::string> m_instanceExtensions, m_deviceExtensions;
    std::mutex m_queueLock;
};

}  // namespace linscope::viz
