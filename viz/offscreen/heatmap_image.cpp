#include "viz/offscreen/heatmap_image.h"

#include <cstring>

#include "viz/gpu/check.h"
#include "viz/gpu/commands.h"
#include "viz/gpu/image.h"

namespace linscope::viz {
namespace {

constexpr VkFormat kFormat = VK_FORMAT_R8G8B8A8_UNORM;

FramebufferHandle makeFramebuffer(const Device& device, VkRenderPass pass, const Image& image) {
    const VkImageView view = image.view();
    VkFramebufferCreateInfo info{VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO};
    info.renderPass = pass;
    info.attachmentCount = 1;
    info.pAttachments = &view;
    info.width = image.extent().width;
    info.height = image.extent().height;
    info.layers = 1;
    VkFramebuffer framebuffer = VK_NULL_HANDLE;
    check(vkCreateFramebuffer(device.handle(), &info, nullptr, &framebuffer), "vulkan", "create a framebuffer");
    return {device.handle(), framebuffer};
}

void copyToBuffer(VkCommandBuffer commands, const Image& image, const Buffer& buffer) {
    VkBufferImageCopy region{};
    region.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
    region.imageExtent = {image.extent().width, image.extent().height, 1};
    vkCmdCopyImageToBuffer(commands, image.get(), VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, buffer.get(), 1, &region);
    VkBufferMemoryBarrier forHost{VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER};
    forHost.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT;
    forHost.dstAccessMask = VK_ACCESS_HOST_READ_BIT;
    forHost.srcQueueFamilyIndex = forHost.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED;
    forHost.buffer = buffer.get();
    forHost.size = VK_WHOLE_SIZE;
    vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 0, nullptr, 1,
                         &forHost, 0, nullptr);
}

}  // namespace

RgbaImage drawHeatmaps(Device& device, int width, int height, const std::vector<OffscreenPane>& panes, Colour clear) {
    OffscreenTarget target(device, width, height);
    HeatmapRenderer renderer(device, target.renderPass(), target.format(), 1);
    std::vector<HeatmapPane> drawn;
    for (const OffscreenPane& pane : panes) {
        HeatmapPane& one = drawn.emplace_back(renderer);
        if (pane.cells)
            one.setCells(pane.cells->cells(), pane.cells->rows(), pane.cells->cols(), pane.pooling);
        else
            one.setMatrix(pane.matrix, pane.pooling);
    }
    renderer.beginFrame();
    return target.draw(clear, [&](VkCommandBuffer commands) {
        for (std::size_t i = 0; i < panes.size(); ++i)
            drawn[i].draw(commands, panes[i].camera, panes[i].viewport, panes[i].style);
    });
}

struct OffscreenTarget::State {
    Device& device;
    Image image;
    Buffer pixels;
    RenderPassHandle pass;
    FramebufferHandle framebuffer;
    CommandContext context;
};

OffscreenTarget::OffscreenTarget(Device& device, int width, int height) {
    Image image(device, {std::uint32_t(width), std::uint32_t(height)}, kFormat,
                VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT);
    Buffer pixels(device, VkDeviceSize(width) * VkDeviceSize(height) * 4, VK_BUFFER_USAGE_TRANSFER_DST_BIT,
                  MemoryKind::Readback);
    RenderPassHandle pass = makeRenderPass(device, kFormat, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL);
    FramebufferHandle framebuffer = makeFramebuffer(device, pass.get(), image);
    m_state.reset(new State{device, std::move(image), std::move(pixels), std::move(pass), std::move(framebuffer),
                            CommandContext(device)});
}
OffscreenTarget::~OffscreenTarget() = default;

VkRenderPass OffscreenTarget::renderPass() const {
    return m_state->pass.get();
}
VkFormat OffscreenTarget::format() const {
    return kFormat;
}

void OffscreenTarget::recordPass(VkCommandBuffer commands, Colour clear,
                                 const std::function<void(VkCommandBuffer)>& record) {
    VkClearValue clearValue{};
    clearValue.color = {{clear.red, clear.green, clear.blue, 1.0f}};
    VkRenderPassBeginInfo info{VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO};
    info.renderPass = m_state->pass.get();
    info.framebuffer = m_state->framebuffer.get();
    info.renderArea = {{0, 0}, m_state->image.extent()};
    info.clearValueCount = 1;
    info.pClearValues = &clearValue;
    vkCmdBeginRenderPass(commands, &info, VK_SUBPASS_CONTENTS_INLINE);
    record(commands);
    vkCmdEndRenderPass(commands);
}

RgbaImage OffscreenTarget::draw(Colour clear, const std::function<void(VkCommandBuffer)>& record) {
    const VkExtent2D extent = m_state->image.extent();
    VkCommandBuffer commands = m_state->context.begin();
    recordPass(commands, clear, record);
    copyToBuffer(commands, m_state->image, m_state->pixels);
    m_state->context.submit();
    m_state->context.wait();
    RgbaImage result(int(extent.width), int(extent.height));
    std::memcpy(result.pixels.data(), m_state->pixels.mapped(), result.pixels.size());
    return result;
}

}  // namespace linscope::viz
