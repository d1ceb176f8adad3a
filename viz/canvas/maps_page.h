#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "viz/canvas/canvas_model.h"
#include "viz/canvas/matrix_pane.h"

namespace linscope::viz {

/// Pixels per notch of the wheel are a factor of this to the power of the notches.
inline constexpr double kWheelZoom = 1.18;

/// Columns of a grid of `count` cards in which their plots have the longest sides.
int gridColumns(int count, ImVec2 size, float gap, bool captioned = false);

/// Linked panes of maps with one cursor and zoom: exact, compressed, lifted and difference of one head at one step, or
/// on CanvasPage::Lanes what each lane does there.
class MapsPage {
public:
    MapsPage(HeatmapRenderer& renderer, const ImGuiHost& host, Backdrop& backdrop, CanvasModel& model);
    /// Draws into the rectangle and applies what the mouse did to the model's cursor and zoom.
    void draw(ImVec2 corner, ImVec2 size);
    void recordInto(VkCommandBuffer commands);

private:
    /// What one pane shows.
    struct Shown {
        std::optional<Colour> mark;
        std::string title;
        std::shared_ptr<const MapSet> set;  ///< nullptr: nothing was computed yet
        int index = 0;                      ///< of the map in its set, by kMapKinds
        RangeOf range = RangeOf::Exact;
        std::string absent;   ///< why there is no map
        bool behind = false;  ///< of another step than the newest one that is shown
        const AttentionMap* map() const { return set ? set->maps[static_cast<std::size_t>(index)].get() : nullptr; }
        ColumnAxis columns() const {
            return kMapKinds[static_cast<std::size_t>(index)] == MapKind::Compressed ? ColumnAxis::Slots
                                                                                     : ColumnAxis::Keys;
        }
    };
    std::vector<Shown> shown() const;
    std::vector<Shown> shownLanes() const;
    MatrixPane& pane(std::size_t index);
    static void put(const Shown& shown, MatrixPane& pane);
    PaneContent content(const Shown& shown, Pooling pooling) const;
    void apply(ColumnAxis columns, const PaneInput& input);
    /// Whether their colours stand for other values.
    bool rangesDiffer(const std::vector<Shown>& all) const;
    std::string note(const Shown& shown, Pooling pooling) const;

    HeatmapRenderer& m_renderer;
    const ImGuiHost& m_host;
    Backdrop& m_backdrop;
    CanvasModel& m_model;
    std::vector<std::unique_ptr<MatrixPane>> m_panes;
};

}  // namespace linscope::viz
