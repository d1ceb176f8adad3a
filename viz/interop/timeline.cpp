#include "viz/interop/timeline.h"

#include "core/base/error.h"
#include "viz/gpu/check.h"
#include "viz/gpu/device.h"

namespace linscope::viz {
namespace {

constexpr std::string_view kWhere = "interop";

template <typename Function>
Function load(const Device& device, const char* name) {
    const auto function = reinterpret_cast<Function>(vkGetDeviceProcAddr(device.handle(), name));
    require(function, kWhere, "{} is required, but {} has none", name, device.name());
    return function;
}

}  // namespace

Timeline::Timeline(Device& device, bool exported) : m_device(&device) {
    require(device.hasDeviceExtension(VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME), kWhere,
            "{} is required, but {} has none", VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME, device.name());
    const VkExportSemaphoreCreateInfo external{VK_STRUCTURE_TYPE_EXPORT_SEMAPHORE_CREATE_INFO, nullptr,
                                               VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT};
    const VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO, exported ? &external : nullptr,
                                         VK_SEMAPHORE_TYPE_TIMELINE, 0};
    const VkSemaphoreCreateInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type, 0};
    VkSemaphore semaphore = VK_NULL_HANDLE;
    check(vkCreateSemaphore(device.handle(), &info, nullptr, &semaphore), kWhere, "create a timeline");
    m_semaphore = SemaphoreHandle(device.handle(), semaphore);
}

int Timeline::exportSemaphore() const {
    VkSemaphoreGetFdInfoKHR info{VK_STRUCTURE_TYPE_SEMAPHORE_GET_FD_INFO_KHR};
    info.semaphore = m_semaphore.get();
    info.handleType = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT;
    int descriptor = -1;
    check(load<PFN_vkGetSemaphoreFdKHR>(*m_device, "vkGetSemaphoreFdKHR")(m_device->handle(), &info, &descriptor),
          kWhere, "export a timeline");
    return descriptor;
}

// A submission without commands orders those around it: a wait holds for everything later in submission order, a
// signal for everything earlier (Vulkan 1.3, §7.4.1 and §7.4.2). So neither frames nor swapchains need to know of this.
void Timeline::await(std::uint64_t value) {
    VkTimelineSemaphoreSubmitInfo values{VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO};
    values.waitSemaphoreValueCount = 1;
    values.pWaitSemaphoreValues = &value;
    const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
    VkSubmitInfo info{VK_STRUCTURE_TYPE_SUBMIT_INFO, &values};
    info.waitSemaphoreCount = 1;
    info.pWaitSemaphores = m_semaphore.address();
    info.pWaitDstStageMask = &stage;
    m_device->submit(info, VK_NULL_HANDLE);
}

void Timeline::signal(std::uint64_t value) {
    VkTimelineSemaphoreSubmitInfo values{VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO};
    values.signalSemaphoreValueCount = 1;
    values.pSignalSemaphoreValues = &value;
    VkSubmitInfo info{VK_STRUCTURE_TYPE_SUBMIT_INFO, &values};
    info.signalSemaphoreCount = 1;
    info.pSignalSemaphores = m_semaphore.address();
    m_device->submit(info, VK_NULL_HANDLE);
}

std::uint64_t Timeline::value() const {
    std::uint64_t value = 0;
    check(load<PFN_vkGetSemaphoreCounterValueKHR>(*m_device, "vkGetSemaphoreCounterValueKHR")(
              m_device->handle(), m_semaphore.get(), &value),
          kWhere, "read a timeline");
    return value;
}

}  // namespace linscope::viz
