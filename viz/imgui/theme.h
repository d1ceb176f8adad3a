#pragma once

#include <imgui.h>

namespace linscope::viz {

/// The canvas's colours: a neutral dark ground, so that colour belongs to the data alone.
struct Theme {
    ImU32 ground = IM_COL32(19, 21, 25, 255);
    ImU32 card = IM_COL32(27, 30, 36, 255);
    ImU32 cardLine = IM_COL32(46, 51, 60, 255);
    ImU32 well = IM_COL32(13, 14, 17, 255);  ///< behind a picture
    ImU32 text = IM_COL32(222, 226, 233, 255);
    ImU32 muted = IM_COL32(148, 156, 170, 255);
    ImU32 faint = IM_COL32(92, 99, 112, 255);
    ImU32 accent = IM_COL32(92, 170, 250, 255);
    ImU32 good = IM_COL32(120, 200, 150, 255);
    ImU32 warn = IM_COL32(245, 180, 90, 255);
    ImU32 cursor = IM_COL32(255, 255, 255, 215);
    ImU32 cursorShade = IM_COL32(0, 0, 0, 140);
};

/// Sets ImGui's own colours, paddings and roundings to match.
void applyTheme(ImGuiStyle& style, const Theme& theme);

}  // namespace linscope::viz
