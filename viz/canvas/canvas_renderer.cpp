#include "viz/canvas/canvas_renderer.h"

#include <imgui.h>

#include <algorithm>

#include "viz/gpu/buffer.h"
#include "viz/gpu/check.h"
#include "viz/gpu/commands.h"
#include "viz/gpu/device.h"
#include "viz/gpu/image.h"
#include "viz/gpu/pipeline.h"
#include "viz/gpu/swapchain.h"

namespace linscope::viz {

namespace {

/// Frames in flight of a window, one for grab(), and one so that none is written while it may be read.
constexpr std::uint32_t kRecordings = Swapchain::kFramesInFlight + 2;

FramebufferHandle makeFramebuffer(const Device& device, VkRenderPass pass, const Image& image) {
    const VkImageView view = image.view();
    const VkFramebufferCreateInfo info{.sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO,
                                       .pNext = nullptr,
                                       .flags = 0,
                                       .renderPass = pass,
                                       .attachmentCount = 1,
                                       .pAttachments = &view,
                                       .width = image.extent().width,
                                       .height = image.extent().height,
                                       .layers = 1};
    VkFramebuffer made = VK_NULL_HANDLE;
    check(vkCreateFramebuffer(device.handle(), &info, nullptr, &made), "canvas", "make a framebuffer");
    return {device.handle(), made};
}

}  // namespace

CanvasRenderer::CanvasRenderer(Device& device, VkFormat format, std::function<void()> onMaps, MapService::Work work)
    : m_device(device),
      m_format(format),
      m_windowPass(makeRenderPass(device, format, VK_IMAGE_LAYOUT_PRESENT_SRC_KHR)),
      m_memoryPass(makeRenderPass(device, format, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL)),
      m_heatmaps(device, m_windowPass.get(), format, kRecordings),
      m_imgui(device, m_host, m_windowPass.get(), kRecordings),
      m_scene(std::make_unique<CanvasScene>(m_heatmaps, m_host, std::move(onMaps), std::move(work))) {}

CanvasRenderer::~CanvasRenderer() {
    try {
        m_device.waitIdle();
    } catch (...) {
        // A lost device still has to have its objects destroyed.
    }
}

void CanvasRenderer::build(VkExtent2D pixels, float scale) {
    if (m_host.setScale(scale)) m_imgui.uploadFonts();
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - m_lastBuild).count();
    m_lastBuild = now;
    m_imgui.beginFrame();
    m_pixels = pixels;
    const float width = static_cast<float>(pixels.width) / m_host.scale();
    const float height = static_cast<float>(pixels.height) / m_host.scale();
    m_host.beginFrame(width, height, seconds);
    m_scene->draw(width, height);
    m_frame = m_host.endFrame();
}

void CanvasRenderer::recordPass(VkCommandBuffer commands, VkRenderPass pass, VkFramebuffer framebuffer,
                                VkExtent2D pixels) {
    m_heatmaps.beginFrame();
    m_scene->recordInto(commands);
    const ImVec4 ground = ImGui::ColorConvertU32ToFloat4(m_host.theme().ground);
    const VkClearValue clear{.color = {.float32 = {ground.x, ground.y, ground.z, 1}}};
    const VkRenderPassBeginInfo begin{.sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO,
                                      .pNext = nullptr,
                                      .renderPass = pass,
                                      .framebuffer = framebuffer,
                                      .renderArea = {{0, 0}, pixels},
                                      .clearValueCount = 1,
                                      .pClearValues = &clear};
    vkCmdBeginRenderPass(commands, &begin, VK_SUBPASS_CONTENTS_INLINE);
    // The draw data are those of the extent they were built for; another one would clip wrongly.
    if (m_frame && pixels.width == m_pixels.width && pixels.height == m_pixels.height) {
        m_scene->backdrop().record(commands, pixels, m_host.scale());
        m_imgui.record(m_frame, commands);
    }
    vkCmdEndRenderPass(commands);
}

void CanvasRenderer::record(VkCommandBuffer commands, VkFramebuffer framebuffer, VkExtent2D pixels) {
    recordPass(commands, m_windowPass.get(), framebuffer, pixels);
}

RgbaImage CanvasRenderer::grab() {
    if (!m_frame || m_pixels.width == 0 || m_pixels.height == 0) return {};
    m_device.waitIdle();
    const Image image(m_device, m_pixels, m_format,
                      VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT);
    const FramebufferHandle framebuffer = makeFramebuffer(m_device, m_memoryPass.get(), image);
    const VkDeviceSize bytes = VkDeviceSize{4} * m_pixels.width * m_pixels.height;
    const Buffer read(m_device, bytes, VK_BUFFER_USAGE_TRANSFER_DST_BIT, MemoryKind::Readback);
    runOnce(m_device, [&](VkCommandBuffer commands) {
        recordPass(commands, m_memoryPass.get(), framebuffer.get(), m_pixels);
        const VkBufferImageCopy copy{.bufferOffset = 0,
                                     .bufferRowLength = 0,
                                     .bufferImageHeight = 0,
                                     .imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
                                     .imageOffset = {0, 0, 0},
                                     .imageExtent = {m_pixels.width, m_pixels.height, 1}};
        vkCmdCopyImageToBuffer(commands, image.get(), VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, read.get(), 1, &copy);
        const VkMemoryBarrier toHost{.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .pNext = nullptr,
                                     .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
        vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &toHost, 0,
                             nullptr, 0, nullptr);
    });
    RgbaImage picture(static_cast<int>(m_pixels.width), static_cast<int>(m_pixels.height));
    const auto* from = static_cast<const std::uint8_t*>(read.mapped());
    std::copy(from, from + bytes, picture.pixels.begin());
    const bool swapped = m_format == VK_FORMAT_B8G8R8A8_UNORM;
    for (std::size_t at = 0; at < picture.pixels.size(); at += 4) {
        if (swapped) std::swap(picture.pixels[at], picture.pixels[at + 2]);
        picture.pixels[at + 3] = 255;
    }
    return picture;
}

}  // namespace linscope::viz
