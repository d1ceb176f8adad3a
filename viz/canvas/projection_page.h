#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "viz/canvas/canvas_model.h"
#include "viz/canvas/matrix_pane.h"

namespace linscope::viz {

/// E, and F where it is another matrix, of the chosen layer and head as pictures [K,T] with one cursor and zoom.
class ProjectionPage {
public:
    ProjectionPage(HeatmapRenderer& renderer, const ImGuiHost& host, Backdrop& backdrop, CanvasModel& model);
    void draw(ImVec2 corner, ImVec2 size);
    /// The part of the side column that belongs to this page.
    void drawTools(float width);
    void recordInto(VkCommandBuffer commands);
    void fit() { m_fitted = true; }
    void zoom(double factor);
    /// Where the pictures lie, for people; empty without one.
    const std::string& place() const { return m_place; }

private:
    void take();
    /// A picture of m_set.
    const ProjectionPicture& picture(int index) const { return m_set->projections[static_cast<std::size_t>(index)]; }
    void fitView(ImVec2 plot);
    void clampView();
    PaneContent content(int index) const;
    void apply(const PaneInput& input);

    const ImGuiHost& m_host;
    CanvasModel& m_model;
    std::array<std::unique_ptr<MatrixPane>, 2> m_panes;
    std::string m_absent, m_place;
    std::shared_ptr<const MapSet> m_set;  ///< what is shown; null: nothing
    int m_count = 0;                      ///< of its pictures
    CameraAxis m_slots, m_tokens;
    std::int64_t m_slotCount = 1, m_tokenCount = 1;
    ImVec2 m_plot{};
    bool m_fitted = true;
    std::int64_t m_slot = -1, m_token = -1;
    bool m_pinned = false;
};

}  // namespace linscope::viz
