#pragma once

#include <imgui.h>
#include <vulkan/vulkan.h>

#include <vector>

namespace linscope::viz {

/// The plain rectangles behind everything: cards and wells. They are cleared rather than drawn by ImGui, whose
/// blended and textured rectangles of that size cost a software device most of a frame.
class Backdrop {
public:
    void reset() { m_fills.clear(); }
    void fill(ImVec2 from, ImVec2 to, ImU32 colour) { m_fills.push_back({from, to, colour}); }
    /// A filled card whose corners ImGui rounds off in the colour around it.
    void card(ImDrawList& list, ImVec2 from, ImVec2 to, ImU32 colour, ImU32 around);
    /// First in the render pass. `scale` is device pixels per logical one.
    void record(VkCommandBuffer commands, VkExtent2D pixels, float scale) const;

private:
    struct Fill {
        ImVec2 from, to;
        ImU32 colour;
    };
    std::vector<Fill> m_fills;
};

}  // namespace linscope::viz
