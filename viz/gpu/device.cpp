#include "viz/gpu/device.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <string_view>

#include "core/base/error.h"
#include "viz/gpu/check.h"

namespace linscope::viz {
namespace {

constexpr std::string_view kWhere = "vulkan";
constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";
constexpr std::array kSurfaceExtensions{"VK_KHR_surface", "VK_KHR_xcb_surface", "VK_KHR_xlib_surface",
                                        "VK_KHR_wayland_surface"};

// What sharing memory with CUDA takes; enabled where the driver has them.
constexpr std::array kSharingExtensions{VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME,
                                        VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME,
                                        VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME};

VKAPI_ATTR VkBool32 VKAPI_CALL receiveMessage(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                              VkDebugUtilsMessageTypeFlagsEXT,
                                              const VkDebugUtilsMessengerCallbackDataEXT* data, void* receiver) {
    const auto& onMessage = *static_cast<const std::function<void(const DeviceMessage&)>*>(receiver);
    const bool isError = severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    // An exception must not pass through the driver's frames.
    try {
        onMessage({isError, data->pMessage});
    } catch (...) {
    }
    return VK_FALSE;
}

VkDebugUtilsMessengerCreateInfoEXT messengerInfo(std::function<void(const DeviceMessage&)>& receiver) {
    VkDebugUtilsMessengerCreateInfoEXT info{VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT};
    info.messageSeverity =
        VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    info.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                       VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
    info.pfnUserCallback = receiveMessage;
    info.pUserData = &receiver;
    return info;
}

// Drivers try to reach the compositor as soon as its extension is enabled, and complain on stderr where there is none.
bool isServed(std::string_view surfaceExtension) {
    return surfaceExtension != "VK_KHR_wayland_surface" || std::getenv("WAYLAND_DISPLAY") != nullptr;
}

template <typename Item, typename Function, typename... Args>
std::vector<Item> enumerate(std::string_view action, Function function, Args... args) {
    std::vector<Item> items;
    VkResult result = VK_INCOMPLETE;
    while (result == VK_INCOMPLETE) {
        std::uint32_t count = 0;
        check(function(args..., &count, nullptr), kWhere, action);
        items.resize(count);
        result = function(args..., &count, items.data());
        items.resize(count);
    }
    check(result, kWhere, action);
    return items;
}

bool contains(const std::vector<VkExtensionProperties>& available, std::string_view name) {
    return std::any_of(available.begin(), available.end(),
                       [&](const auto& item) { return name == item.extensionName; });
}

std::vector<const char*> pointers(const std::vector<std::string>& names) {
    std::vector<const char*> result;
    for (const auto& name : names) result.push_back(name.c_str());
    return result;
}

std::string lowered(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
}

int preference(VkPhysicalDeviceType type) {
    switch (type) {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
            return 4;
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
            return 3;
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
            return 2;
        case VK_PHYSICAL_DEVICE_TYPE_CPU:
            return 1;
        default:
            return 0;
    }
}

constexpr std::uint32_t kNoFamily = ~0u;

std::uint32_t graphicsFamily(VkPhysicalDevice device) {
    std::uint32_t count = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
    std::vector<VkQueueFamilyProperties> families(count);
    vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
    for (std::uint32_t i = 0; i < count; ++i)
        if (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) return i;
    return kNoFamily;
}

}  // namespace

Device::Device(const DeviceOptions& options) : m_onMessage(options.onMessage) {
    if (!m_onMessage) m_onMessage = [](const DeviceMessage&) {};
    try {
        createInstance(options);
        choosePhysical(options);
        createDevice(options);
    } catch (...) {
        destroy();
        throw;
    }
}

Device::~Device() {
    destroy();
}

void Device::destroy() noexcept {
    if (m_device) {
        vkDeviceWaitIdle(m_device);
        vkDestroyDevice(m_device, nullptr);
    }
    if (m_messenger) {
        auto destroyMessenger = reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(
            vkGetInstanceProcAddr(m_instance, "vkDestroyDebugUtilsMessengerEXT"));
        if (destroyMessenger) destroyMessenger(m_instance, m_messenger, nullptr);
    }
    if (m_instance) vkDestroyInstance(m_instance, nullptr);
}

void Device::createInstance(const DeviceOptions& options) {
    const auto available = enumerate<VkExtensionProperties>("list the instance extensions",
                                                            vkEnumerateInstanceExtensionProperties, nullptr);
    for (const auto& name : options.surfaceExtensions) {
        require(contains(available, name), kWhere,
                "the instance extension {} is required, but the Vulkan loader does not offer it; "
                "install mesa-vulkan-drivers or the vendor's driver",
                name);
        m_instanceExtensions.push_back(name);
    }
    if (options.presentation)
        for (const char* name : kSurfaceExtensions)
            if (contains(available, name) && !hasInstanceExtension(name) && isServed(name))
                m_instanceExtensions.push_back(name);

    std::vector<const char*> layers;
    if (options.validation) {
        const auto installed = enumerate<VkLayerProperties>("list the layers", vkEnumerateInstanceLayerProperties);
        const bool found = std::any_of(installed.begin(), installed.end(), [](const auto& layer) {
            return std::string_view(layer.layerName) == kValidationLayer;
        });
        require(found, kWhere, "validation was asked for, but {} is not installed; install vulkan-validationlayers",
                kValidationLayer);
        layers.push_back(kValidationLayer);
    }
    // The validation layer brings the messenger extension with it where the loader has none.
    const bool messages = options.validation || contains(available, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    if (messages) m_instanceExtensions.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);

    VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
    application.pApplicationName = options.applicationName.c_str();
    application.pEngineName = "linscope_viz";
    application.apiVersion = VK_API_VERSION_1_1;
    const auto messenger = messengerInfo(m_onMessage);
    const auto extensions = pointers(m_instanceExtensions);
    VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
    info.pNext = messages ? &messenger : nullptr;
    info.pApplicationInfo = &application;
    info.enabledLayerCount = static_cast<std::uint32_t>(layers.size());
    info.ppEnabledLayerNames = layers.data();
    info.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
    info.ppEnabledExtensionNames = extensions.data();
    const VkResult result = vkCreateInstance(&info, nullptr, &m_instance);
    require(result != VK_ERROR_INCOMPATIBLE_DRIVER, kWhere,
            "a Vulkan driver is required, but none is installed; install mesa-vulkan-drivers (works without a GPU) "
            "or the vendor's driver");
    check(result, kWhere, "create an instance");

    if (messages) {
        auto create = reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(
            vkGetInstanceProcAddr(m_instance, "vkCreateDebugUtilsMessengerEXT"));
        if (create) check(create(m_instance, &messenger, nullptr, &m_messenger), kWhere, "create a messenger");
    }
}

void Device::choosePhysical(const DeviceOptions& options) {
    const auto found = enumerate<VkPhysicalDevice>("list the devices", vkEnumeratePhysicalDevices, m_instance);
    std::string wanted = options.deviceName;
    if (const char* fromEnvironment = std::getenv("LINSCOPE_VULKAN_DEVICE"); wanted.empty() && fromEnvironment)
        wanted = fromEnvironment;

    int best = -1;
    std::string names;
    for (VkPhysicalDevice candidate : found) {
        VkPhysicalDeviceProperties properties;
        vkGetPhysicalDeviceProperties(candidate, &properties);
        names += (names.empty() ? "" : ", ") + std::string(properties.deviceName);
        if (properties.apiVersion < VK_API_VERSION_1_1 || graphicsFamily(candidate) == kNoFamily) continue;
        if (!wanted.empty() && lowered(properties.deviceName).find(lowered(wanted)) == std::string::npos) continue;
        if (preference(properties.deviceType) <= best) continue;
        best = preference(properties.deviceType);
        m_physical = candidate;
        m_properties = properties;
    }
    require(!found.empty(), kWhere,
            "a Vulkan device is required, but there is none; install mesa-vulkan-drivers (works without a GPU) "
            "or the vendor's driver");
    require(m_physical || wanted.empty(), kWhere, "a Vulkan device named like '{}' is required, but there are: {}",
            wanted, names);
    require(m_physical, kWhere,
            "a device with Vulkan 1.1 and graphics is required, but there are: {}; install mesa-vulkan-drivers", names);
    vkGetPhysicalDeviceMemoryProperties(m_physical, &m_memory);
    m_queueFamily = graphicsFamily(m_physical);
    VkPhysicalDeviceIDProperties identity{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES};
    VkPhysicalDeviceProperties2 properties{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &identity, {}};
    vkGetPhysicalDeviceProperties2(m_physical, &properties);
    std::copy(std::begin(identity.deviceUUID), std::end(identity.deviceUUID), m_uuid.begin());
}

void Device::createDevice(const DeviceOptions& options) {
    const auto available = enumerate<VkExtensionProperties>("list the device extensions",
                                                            vkEnumerateDeviceExtensionProperties, m_physical, nullptr);
    if (options.presentation && hasInstanceExtension(VK_KHR_SURFACE_EXTENSION_NAME) &&
        contains(available, VK_KHR_SWAPCHAIN_EXTENSION_NAME))
        m_deviceExtensions.emplace_back(VK_KHR_SWAPCHAIN_EXTENSION_NAME);
    for (const char* name : kSharingExtensions)
        if (contains(available, name)) m_deviceExtensions.emplace_back(name);
    VkPhysicalDeviceTimelineSemaphoreFeatures timeline{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES};
    timeline.timelineSemaphore = VK_TRUE;  // whoever has the extension has the feature

    const float priority = 1.0f;
    VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
    queue.queueFamilyIndex = m_queueFamily;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    const auto extensions = pointers(m_deviceExtensions);
    VkDeviceCreateInfo info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
    info.pNext = hasDeviceExtension(VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME) ? &timeline : nullptr;
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queue;
    info.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
    info.ppEnabledExtensionNames = extensions.data();
    check(vkCreateDevice(m_physical, &info, nullptr, &m_device), kWhere, "open the device " + name());
    vkGetDeviceQueue(m_device, m_queueFamily, 0, &m_queue);
}

bool Device::hasInstanceExtension(const std::string& name) const {
    return std::find(m_instanceExtensions.begin(), m_instanceExtensions.end(), name) != m_instanceExtensions.end();
}

bool Device::hasDeviceExtension(const std::string& name) const {
    return std::find(m_deviceExtensions.begin(), m_deviceExtensions.end(), name) != m_deviceExtensions.end();
}

void Device::submit(const VkSubmitInfo& submit, VkFence fence) {
    const std::lock_guard lock(m_queueLock);
    check(vkQueueSubmit(m_queue, 1, &submit, fence), kWhere, "take a submission");
}

VkResult Device::present(const VkPresentInfoKHR& present) {
    const std::lock_guard lock(m_queueLock);
    return vkQueuePresentKHR(m_queue, &present);
}

void Device::waitIdle() {
    const std::lock_guard lock(m_queueLock);
    check(vkDeviceWaitIdle(m_device), kWhere, "finish its work");
}

std::uint32_t Device::memoryType(std::uint32_t typeBits, VkMemoryPropertyFlags wanted,
                                 VkMemoryPropertyFlags preferred) const {
    for (const VkMemoryPropertyFlags flags : {wanted | preferred, wanted})
        for (std::uint32_t i = 0; i < m_memory.memoryTypeCount; ++i)
            if ((typeBits & (1u << i)) && (m_memory.memoryTypes[i].propertyFlags & flags) == flags) return i;
    fail(kWhere, "memory with property flags {:#x} is required, but the device {} has none", wanted, name());
}

}  // namespace linscope::viz
