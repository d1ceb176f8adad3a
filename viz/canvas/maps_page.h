#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "viz/canvas/canvas_model.h"
#include "viz/canvas/matrix_pane.h"

namespace linscope::viz {

/// Pixels per notch of the wheel are a factor of this to the power of the notches.
inline constexpr double kWheelZoom = 1.18;

/// Four linked panes: exact, compressed, lifted and difference of the same head at the same step.
class MapsPage {
public:
    MapsPage(HeatmapRenderer& renderer, const ImGuiHost& host, Backdrop& backdrop, CanvasModel& model);
    /// Draws into the rectangle and applies what the mouse did to the model's cursor and zoom.
    void draw(ImVec2 corner, ImVec2 size);
    void recordInto(VkCommandBuffer commands);

private:
    static constexpr std::array<ColumnAxis, kMapCount> kColumns{ColumnAxis::Keys, ColumnAxis::Slots, ColumnAxis::Keys,
                                                                ColumnAxis::Keys};
    void takeMaps();
    PaneContent content(int index) const;
    void apply(int index, const PaneInput& input);
    std::string clippedNote(int index) const;

    const ImGuiHost& m_host;
    CanvasModel& m_model;
    std::array<std::unique_ptr<MatrixPane>, kMapCount> m_panes;
    std::uint64_t m_revision = 0;
};

}  // namespace linscope::viz
