#pragma once

#include <imgui.h>

namespace linscope::viz {

/// The canvas's colours: a neutral ground, so that colour belongs to the data alone. At first a dark one.
struct Theme {
    bool dark = true;
    ImU32 ground = IM_COL32(19, 21, 25, 255);
    ImU32 card = IM_COL32(27, 30, 36, 255);
    ImU32 cardLine = IM_COL32(46, 51, 60, 255);
    ImU32 well = IM_COL32(13, 14, 17, 255);  ///< behind a picture
    ImU32 text = IM_COL32(222, 226, 233, 255);
    ImU32 muted = IM_COL32(148, 156, 170, 255);
    ImU32 faint = IM_COL32(92, 99, 112, 255);
    ImU32 accent = IM_COL32(92, 170, 250, 255);
    ImU32 warn = IM_COL32(245, 180, 90, 255);
    ImU32 cursor = IM_COL32(255, 255, 255, 215);  ///< over maps, whatever the ground
    ImU32 cursorShade = IM_COL32(0, 0, 0, 140);
    ImU32 deep = IM_COL32(40, 90, 150, 255);       ///< a part of a bar of the accent's colour
    ImU32 veil = IM_COL32(13, 14, 17, 120);        ///< over what is left out
    ImU32 outline = IM_COL32(255, 255, 255, 170);  ///< a line over bars
    ImU32 touched = IM_COL32(255, 255, 255, 12);   ///< over the line that the mouse is on
    ImU32 control = IM_COL32(41, 46, 55, 255), controlHovered = IM_COL32(52, 58, 69, 255),
          controlActive = IM_COL32(63, 71, 84, 255), popup = IM_COL32(33, 37, 44, 252);
};
/// The same on a light ground, for bright rooms and for print.
Theme lightTheme();

/// Sets ImGui's own colours, paddings and roundings to match.
void applyTheme(ImGuiStyle& style, const Theme& theme);

}  // namespace linscope::viz
