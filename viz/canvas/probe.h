#pragma once

#include <cstdint>
#include <string_view>

#include <imgui.h>

#include "viz/canvas/canvas_model.h"
#include "viz/imgui/imgui_host.h"

namespace linscope::viz {

/// Names at the left, numbers at the right, one line each.
class ProbeTable {
public:
    ProbeTable(const ImGuiHost& host, float width) : m_host(host), m_width(width) {}
    /// `help` is shown while the mouse is over the line.
    void row(std::string_view name, std::string_view value, ImU32 colour = 0, std::string_view help = {});

private:
    const ImGuiHost& m_host;
    float m_width;
};

/// What the maps say at the cursor: the query token in its context, the key token or slot, and the value of each map.
void drawProbe(const ImGuiHost& host, const CanvasModel& model, float width);

/// The same at the mouse, for a canvas whose tools are out of sight; nothing where the cursor is on no cell.
void drawProbeAtMouse(const ImGuiHost& host, const CanvasModel& model);

/// HeadFidelity of the chosen head with a picture of error and bound.
void drawFidelity(const ImGuiHost& host, const CanvasModel& model, float width);

}  // namespace linscope::viz
