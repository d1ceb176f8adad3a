#include "viz/canvas/backdrop.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace linscope::viz {

namespace {

constexpr float kRadius = 6;
constexpr int kArcSteps = 6;

/// What lies between a corner and the quarter circle that rounds it; `inward` points to the circle's centre.
void roundOff(ImDrawList& list, ImVec2 corner, ImVec2 inward, ImU32 colour) {
    const ImVec2 centre{corner.x + inward.x * kRadius, corner.y + inward.y * kRadius};
    ImVec2 before{corner.x, centre.y};
    for (int step = 1; step <= kArcSteps; ++step) {
        const float angle = std::numbers::pi_v<float> / 2 * static_cast<float>(step) / kArcSteps;
        const ImVec2 here{centre.x - inward.x * kRadius * std::cos(angle),
                          centre.y - inward.y * kRadius * std::sin(angle)};
        list.AddTriangleFilled(corner, before, here, colour);
        before = here;
    }
}

}  // namespace

void Backdrop::card(ImDrawList& list, ImVec2 from, ImVec2 to, ImU32 colour, ImU32 around) {
    fill(from, to, colour);
    roundOff(list, from, {1, 1}, around);
    roundOff(list, {to.x, from.y}, {-1, 1}, around);
    roundOff(list, {from.x, to.y}, {1, -1}, around);
    roundOff(list, to, {-1, -1}, around);
}

void Backdrop::record(VkCommandBuffer commands, VkExtent2D pixels, float scale) const {
    for (const Fill& fill : m_fills) {
        const auto edge = [scale](float logical, std::uint32_t limit) {
            return static_cast<std::int32_t>(std::clamp(std::round(logical * scale), 0.0F, static_cast<float>(limit)));
        };
        const std::int32_t left = edge(fill.from.x, pixels.width), right = edge(fill.to.x, pixels.width);
        const std::int32_t top = edge(fill.from.y, pixels.height), bottom = edge(fill.to.y, pixels.height);
        if (right <= left || bottom <= top) continue;
        const ImVec4 colour = ImGui::ColorConvertU32ToFloat4(fill.colour);
        const VkClearAttachment clear{.aspectMask = VK_IMAGE_ASPECT_COLOR_BIT,
                                      .colorAttachment = 0,
                                      .clearValue = {.color = {.float32 = {colour.x, colour.y, colour.z, 1}}}};
        const VkClearRect rectangle{
            .rect = {{left, top}, {static_cast<std::uint32_t>(right - left), static_cast<std::uint32_t>(bottom - top)}},
            .baseArrayLayer = 0,
            .layerCount = 1};
        vkCmdClearAttachments(commands, 1, &clear, 1, &rectangle);
    }
}

}  // namespace linscope::viz
