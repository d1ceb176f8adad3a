#pragma once

#include <functional>
#include <memory>

#include "viz/gpu/device.h"
#include "viz/heatmap/heatmap_renderer.h"
#include "viz/interop/device_matrix.h"
#include "viz/offscreen/png.h"

namespace linscope::viz {

/// An image to draw into without a window, frame after frame.
class OffscreenTarget {
public:
    /// Throws Error when the size is not one that the device can draw.
    OffscreenTarget(Device& device, int width, int height);
    ~OffscreenTarget();

    VkRenderPass renderPass() const;
    VkFormat format() const;
    /// Clears, records with `record` inside the render pass, waits and reads the pixels back.
    RgbaImage draw(Colour clear, const std::function<void(VkCommandBuffer)>& record);

private:
    void recordPass(VkCommandBuffer commands, Colour clear, const std::function<void(VkCommandBuffer)>& record);
    struct State;
    std::unique_ptr<State> m_state;
};

/// One pane of an off-screen picture.
struct OffscreenPane {
    std::shared_ptr<const Matrix> matrix;
    std::shared_ptr<const DeviceMatrix> cells;  ///< drawn in the matrix's place
    Pooling pooling = Pooling::Max;
    HeatmapCamera camera;
    PixelRect viewport;
    HeatmapStyle style;
};

/// Draws panes by Vulkan into an image of the given size and reads it back. Throws Error.
RgbaImage drawHeatmaps(Device& device, int width, int height, const std::vector<OffscreenPane>& panes,
                       Colour clear = {1, 1, 1});

}  // namespace linscope::viz
