#pragma once

#include <cstdint>

#include "viz/gpu/handle.h"

struct ImDrawData;

namespace linscope::viz {

class Device;
class ImGuiHost;

/// Draws what an ImGuiHost made, inside a render pass with one colour attachment of the format of `renderPass`.
class ImGuiVulkan {
public:
    /// `buffers` is how many recordings may be in flight at once, at least 2. The host must live longer.
    ImGuiVulkan(Device& device, ImGuiHost& host, VkRenderPass renderPass, std::uint32_t buffers);
    ~ImGuiVulkan();
    ImGuiVulkan(const ImGuiVulkan&) = delete;
    ImGuiVulkan& operator=(const ImGuiVulkan&) = delete;

    /// After the host has built its fonts anew: waits for the device and brings them there.
    void uploadFonts();
    /// Before the host's beginFrame().
    void beginFrame();
    void record(ImDrawData* data, VkCommandBuffer commands);

private:
    void initialise();
    void shutdown() noexcept;

    Device& m_device;
    ImGuiHost& m_host;
    VkRenderPass m_renderPass;
    std::uint32_t m_buffers;
    DescriptorPoolHandle m_descriptors;
    bool m_ready = false;
};

}  // namespace linscope::viz
