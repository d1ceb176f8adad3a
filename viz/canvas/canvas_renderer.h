#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "viz/canvas/canvas_scene.h"
#include "viz/gpu/handle.h"
#include "viz/imgui/imgui_host.h"
#include "viz/imgui/imgui_vulkan.h"
#include "viz/offscreen/png.h"

namespace linscope::viz {

class Device;

/// The canvas with all that it needs of Vulkan but a window: it records frames for any image of one
/// format, and can draw its last frame once more into memory.
class CanvasRenderer {
public:
    CanvasRenderer(Device& device, VkFormat format, std::function<void()> onMaps,
                   MapService::Work work = MapService::realWork());
    ~CanvasRenderer();
    CanvasRenderer(const CanvasRenderer&) = delete;
    CanvasRenderer& operator=(const CanvasRenderer&) = delete;

    VkFormat format() const { return m_format; }
    /// Ends in VK_IMAGE_LAYOUT_PRESENT_SRC_KHR.
    VkRenderPass windowPass() const { return m_windowPass.get(); }
    ImGuiHost& host() { return m_host; }
    CanvasScene& scene() { return *m_scene; }

    /// Lets ImGui and the scene make a frame for so many device pixels at `scale` of them per logical one.
    void build(VkExtent2D pixels, float scale);
    /// Records the frame built last. Frames before the last `framesInFlight` must have finished.
    void record(VkCommandBuffer commands, VkFramebuffer framebuffer, VkExtent2D pixels);
    /// Draws the frame built last into memory; an image without pixels when none was built. Waits for the device.
    RgbaImage grab();

private:
    void recordPass(VkCommandBuffer commands, VkRenderPass pass, VkFramebuffer framebuffer, VkExtent2D pixels);

    Device& m_device;
    VkFormat m_format;
    RenderPassHandle m_windowPass, m_memoryPass;
    ImGuiHost m_host;
    HeatmapRenderer m_heatmaps;
    ImGuiVulkan m_imgui;
    std::unique_ptr<CanvasScene> m_scene;
    ImDrawData* m_frame = nullptr;
    VkExtent2D m_pixels{};
    std::chrono::steady_clock::time_point m_lastBuild{};
};

}  // namespace linscope::viz
