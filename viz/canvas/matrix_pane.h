#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <imgui.h>

#include "viz/canvas/backdrop.h"
#include "viz/heatmap/heatmap_renderer.h"
#include "viz/imgui/imgui_host.h"
#include "viz/interop/device_matrix.h"

namespace linscope::viz {

/// One axis as it is written beside a picture.
struct PaneAxis {
    CameraAxis camera;                               ///< in the axis's own units (tokens, slots), logical pixels
    std::int64_t cells = 1;                          ///< units along the axis
    std::int64_t block = 1;                          ///< units per cell of the matrix
    std::string name;                                ///< "key token"
    std::int64_t cursor = -1;                        ///< marked unit; −1: none
    bool pinned = false;                             ///< the mark stays where it is
    std::function<std::string(std::int64_t)> label;  ///< text of a unit when there is room; empty: numbers only
};

/// What one pane shows in this frame.
struct PaneContent {
    std::optional<Colour> mark;  ///< a dot before the title
    std::string title;           ///< "compressed P̄"
    std::string subtitle;        ///< "[512×64]"
    std::string note;            ///< right of the title: how it was pooled, what is clipped
    std::string caption;         ///< below the picture, where there is room for one
    std::string absent;          ///< why there is no picture, in words; empty when there is one
    PaneAxis rows, columns;
    ValueScale scale;
    const ColourMap* colours = nullptr;
};

/// What a person did in a pane in this frame; positions are logical pixels from the plot's corner.
struct PaneInput {
    bool hovered = false;
    float x = 0, y = 0;
    float wheel = 0;
    float dragX = 0, dragY = 0;
    bool clicked = false, doubleClicked = false;
};

/// A card with a title, a picture with axes and a colour bar. The picture is drawn by Vulkan at its place
/// in ImGui's draw list, so that marks lie above it and menus above both.
class MatrixPane {
public:
    MatrixPane(HeatmapRenderer& renderer, const ImGuiHost& host, Backdrop& backdrop);
    MatrixPane(const MatrixPane&) = delete;
    MatrixPane& operator=(const MatrixPane&) = delete;

    /// With `cells`, which hold the same numbers, the picture is drawn from them.
    void setMatrix(std::shared_ptr<const Matrix> matrix, Pooling pooling,
                   std::shared_ptr<const DeviceMatrix> cells = nullptr);
    void clear();
    bool empty() const { return !m_matrix; }
    const Matrix* matrix() const { return m_matrix.get(); }
    Pooling pooling() const { return m_pooling; }

    /// The part of a card that the picture gets: what the camera is fitted to.
    static ImVec2 plotSize(ImVec2 card, bool captioned = false);
    /// In a high card the colour bar lies below, so that the picture, which is square, gets the width.
    static bool barBelow(ImVec2 card) { return card.y > 1.15F * card.x; }
    /// Draws the card at `position` into the current ImGui window and reports what was done in it.
    /// `captioned` as for plotSize().
    PaneInput draw(const char* id, ImVec2 position, ImVec2 card, const PaneContent& content, bool captioned = false);

    /// Where the pictures of this frame are recorded to, before ImGui's draw data are.
    void recordInto(VkCommandBuffer commands) { m_commands = commands; }

private:
    static void drawHeatmap(const ImDrawList* list, const ImDrawCmd* command);
    void drawRows(ImDrawList& list, const PaneContent& content) const;
    void drawColumns(ImDrawList& list, const PaneContent& content) const;
    void drawValues(ImDrawList& list, const PaneContent& content) const;
    void drawCursor(ImDrawList& list, const PaneContent& content) const;
    /// In a corner, where in the whole matrix a magnified part lies.
    void drawOverview(ImDrawList& list, const PaneContent& content) const;
    void drawColourBar(ImDrawList& list, const PaneContent& content) const;
    void drawTitle(ImDrawList& list, ImVec2 position, ImVec2 card, const PaneContent& content) const;

    const ImGuiHost& m_host;
    Backdrop& m_backdrop;
    HeatmapPane m_heatmap;
    std::shared_ptr<const Matrix> m_matrix;
    std::shared_ptr<const DeviceMatrix> m_cells;  // kept, so that nobody writes what is drawn
    Pooling m_pooling = Pooling::Max;
    ImVec2 m_corner{}, m_size{};  ///< of the plot, logical pixels
    bool m_barBelow = false;
    HeatmapCamera m_camera;  ///< device pixels, matrix cells
    PixelRect m_viewport;    ///< device pixels
    HeatmapStyle m_style;
    VkCommandBuffer m_commands = VK_NULL_HANDLE;
};

}  // namespace linscope::viz
