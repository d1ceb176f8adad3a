#include "app/canvas/vulkan_host.h"

#include <QGuiApplication>
#include <QVulkanInstance>

#include <exception>

namespace linscope::app {

VulkanHost::VulkanHost(const viz::DeviceOptions& options) : m_instance(std::make_unique<QVulkanInstance>()) {
    try {
        m_device = std::make_unique<viz::Device>(options);
    } catch (const std::exception& error) {
        m_problem = QString::fromUtf8(error.what());
        return;
    }
    m_instance->setVkInstance(m_device->instance());
    if (m_instance->create() && m_device->hasDeviceExtension(VK_KHR_SWAPCHAIN_EXTENSION_NAME)) return;
    m_problem = QStringLiteral(
                    "[canvas] Vulkan must be able to draw into a window, but %1 with Qt's platform \"%2\" "
                    "cannot; start in an X11 or Wayland session")
                    .arg(QString::fromStdString(m_device->name()), QGuiApplication::platformName());
    m_instance->destroy();
    m_device.reset();
}

VulkanHost::~VulkanHost() = default;

}  // namespace linscope::app
