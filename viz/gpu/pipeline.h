#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "viz/gpu/handle.h"

namespace linscope::viz {

class Device;

/// A render pass with one colour attachment that is cleared first, stored and left in `finalLayout`
/// (VK_IMAGE_LAYOUT_PRESENT_SRC_KHR for a window, …_TRANSFER_SRC_OPTIMAL to read it back).
RenderPassHandle makeRenderPass(const Device& device, VkFormat format, VkImageLayout finalLayout);

struct PipelineOptions {
    std::span<const std::uint32_t> vertexShader, fragmentShader;  ///< SPIR-V
    VkRenderPass renderPass = VK_NULL_HANDLE;
    std::span<const VkDescriptorSetLayout> setLayouts;
    std::uint32_t pushConstantBytes = 0;               ///< visible to both stages, at most 128
    std::span<const std::uint32_t> fragmentConstants;  ///< specialisation constants 0, 1 … of the fragment shader
};

/// A graphics pipeline without vertex buffers: triangles, no depth, no blending, dynamic viewport and scissor.
struct Pipeline {
    PipelineLayoutHandle layout;
    PipelineHandle pipeline;
};
Pipeline makePipeline(const Device& device, const PipelineOptions& options);

}  // namespace linscope::viz
