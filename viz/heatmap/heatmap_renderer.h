#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "core/analysis/maps.h"
#include "viz/gpu/buffer.h"
#include "viz/gpu/pipeline.h"
#include "viz/heatmap/camera.h"
#include "viz/heatmap/colour_map.h"
#include "viz/heatmap/pooling.h"
#include "viz/heatmap/value_scale.h"

namespace linscope::viz {

class Device;
class HeatmapRenderer;

/// How a pane looks. All of it may change from frame to frame at no cost.
struct HeatmapStyle {
    const ColourMap* colours = nullptr;  ///< nullptr: the default for the scale's kind
    ValueScale scale;
    bool grid = true;  ///< lines between cells of 8 pixels and more
    Cell cursor;       ///< its row and column are marked, light on dark cells and dark on light ones
    Colour background{0.09f, 0.10f, 0.12f};
};

/// One matrix ready to be drawn. Only the part that the camera sees, at the magnification at which it
/// is seen, is on the device: a matrix may be as large as memory allows.
class HeatmapPane {
public:
    explicit HeatmapPane(HeatmapRenderer& renderer);
    ~HeatmapPane();
    HeatmapPane(HeatmapPane&&) noexcept;
    HeatmapPane& operator=(HeatmapPane&&) noexcept;

    /// Replaces the matrix; frames in flight keep what they draw. Buffers of the right size are used again.
    /// Throws Error when a side is 0 or the number of values is not rows × cols.
    void setMatrix(std::shared_ptr<const Matrix> matrix, Pooling pooling);
    /// Draws from cells that lie on the device already, `cells` [rows,cols] row-major, usable as a uniform texel
    /// buffer; whoever writes them orders that with the frames (viz/interop). Every cell under a pixel is read each
    /// frame, without coarser levels: for matrices of some thousand cells a side. Throws Error when a side is 0 or the
    /// buffer is too small.
    void setCells(std::shared_ptr<const Buffer> cells, std::int64_t rows, std::int64_t cols, Pooling pooling);
    bool empty() const;
    const Matrix& matrix() const;  ///< throws Error when there is none, as after setCells()
    Pooling pooling() const;

    /// Inside the render pass: brings to the device what `camera` sees in `viewport` if it is not there yet, and
    /// records the drawing. Outside the matrix is background; a pane without a matrix is all background.
    /// The viewport must lie inside the attachment.
    void draw(VkCommandBuffer commands, const HeatmapCamera& camera, const PixelRect& viewport,
              const HeatmapStyle& style);

    /// The cells whose pooled value the pixel shows, or an empty range outside the matrix.
    CellRange cellsUnder(const HeatmapCamera& camera, const PixelRect& viewport, float px, float py) const;

private:
    struct State;
    std::unique_ptr<State> m_state;
};

/// What all panes of one render pass share: pipeline and colour maps. It must outlive its panes.
class HeatmapRenderer {
public:
    /// `format` is that of the pass's attachment (sRGB formats are converted for); `framesInFlight` is how
    /// many frames may be under way at once.
    HeatmapRenderer(Device& device, VkRenderPass renderPass, VkFormat format, std::uint32_t framesInFlight = 2);
    ~HeatmapRenderer();
    HeatmapRenderer(const HeatmapRenderer&) = delete;
    HeatmapRenderer& operator=(const HeatmapRenderer&) = delete;

    /// Once a frame, before any draw(), when the frame `framesInFlight` before this one is known to have finished
    /// (its fence has been waited for).
    void beginFrame() { ++m_frame; }

private:
    friend class HeatmapPane;
    Device& m_device;
    std::uint32_t m_framesInFlight;
    std::uint64_t m_frame = 0;
    VkRenderPass m_renderPass;
    bool m_targetIsSrgb;
    DescriptorLayoutHandle m_setLayout;
    std::map<std::array<std::uint32_t, 4>, Pipeline> m_pipelines;  ///< by the shader's constants, made when first used
    Buffer m_colours;
    BufferViewHandle m_colourView;

    const Pipeline& pipeline(ScaleKind scale, std::uint32_t pooling, bool overlay);
};

}  // namespace linscope::viz
