#pragma once

#include "viz/canvas/canvas_model.h"
#include "viz/imgui/imgui_host.h"

namespace linscope::viz {

/// The column of tools beside maps: colours, ranges, what is under the cursor, and the fidelity of the chosen head.
void drawMapTools(const ImGuiHost& host, CanvasModel& model, float width);

}  // namespace linscope::viz
