#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "viz/canvas/backdrop.h"
#include "viz/canvas/canvas_model.h"
#include "viz/canvas/maps_page.h"
#include "viz/canvas/projection_page.h"

namespace linscope::viz {

/// Keys that the canvas itself understands, whatever window toolkit they come from.
enum class CanvasKey {
    Fit,
    ZoomIn,
    ZoomOut,
    Left,
    Right,
    Up,
    Down,
    Release,
    NextHead,
    PreviousHead,
    NextLayer,
    PreviousLayer
};

/// What a session remembers of the canvas.
struct CanvasSettings {
    HeadChoice choice;
    CanvasPage page = CanvasPage::Maps;
    LinkedView::Place place;
    std::string scale, sequential, diverging;  ///< empty: as at first
    JointChoice joint;
    bool rangeEach = false;  ///< Colouring::rangeEach()
    bool tools = true;
};

/// The whole canvas: a bar with lane, layer, head and sample, the pages, and the column of tools. Draws
/// with ImGui and Vulkan, knows neither window nor Qt.
class CanvasScene {
public:
    /// `onMaps` as in CanvasModel.
    CanvasScene(HeatmapRenderer& renderer, ImGuiHost& host, std::function<void()> onMaps,
                MapService::Work work = MapService::realWork());

    CanvasModel& model() { return m_model; }
    /// True when the key meant something here.
    bool key(CanvasKey key);
    /// Between the host's beginFrame() and endFrame(); sizes in logical pixels.
    void draw(float width, float height);
    /// Before every recording of the frame drawn last.
    void recordInto(VkCommandBuffer commands);
    /// What lies behind everything: to be recorded first.
    const Backdrop& backdrop() const { return m_backdrop; }

    CanvasSettings settings() const;
    void restore(const CanvasSettings& settings);

private:
    /// What the bar says of the page.
    struct Shown {
        std::optional<std::int64_t> step;  ///< none: nothing is shown yet
        std::string what;                  ///< the mechanism; empty where it is not one
        std::string place;                 ///< where it was computed
        bool current = true;               ///< it is the head that is chosen
    };
    Shown shown() const;
    /// Lane, layer, head and sample, from the corner on; where they end. What has no room before `end` is behind a
    /// button.
    float drawChoice(ImVec2 corner, float end, float gap);
    void drawBar(ImVec2 corner, ImVec2 size);
    void drawTools(ImVec2 corner, ImVec2 size);
    bool toolsShown() const { return m_room ? m_tools : m_toolsOver; }
    bool moveCursor(CanvasKey key);
    bool step(int layers, int heads);

    ImGuiHost& m_host;
    CanvasModel m_model;
    Backdrop m_backdrop;
    MapsPage m_maps;
    ProjectionPage m_projection;
    bool m_tools = true;
    bool m_toolsOver = false;  ///< asked for where there is no room for them beside the page
    bool m_room = true;        ///< there is
    LinkedView::Place m_restoredPlace;
    bool m_placePending = false;
};

}  // namespace linscope::viz
