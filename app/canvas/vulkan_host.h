#pragma once

#include <QString>

#include <memory>

#include "viz/gpu/device.h"

// Its header switches off the Vulkan prototypes that viz needs: it is included last, in sources only.
class QVulkanInstance;

namespace linscope::app {

/// The program's one Vulkan device, and Qt's view of the instance it belongs to. Where there is no Vulkan,
/// device() is null and problem() says what is missing and how to mend it.
class VulkanHost {
public:
    explicit VulkanHost(const viz::DeviceOptions& options);
    ~VulkanHost();

    viz::Device* device() const { return m_device.get(); }
    QVulkanInstance& instance() { return *m_instance; }
    const QString& problem() const { return m_problem; }

private:
    std::unique_ptr<viz::Device> m_device;
    std::unique_ptr<QVulkanInstance> m_instance;  // adopts the device's instance: destroyed before it
    QString m_problem;
};

}  // namespace linscope::app
