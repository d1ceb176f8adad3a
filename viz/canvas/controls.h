#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "viz/imgui/imgui_host.h"

namespace linscope::viz {

// Small controls in the canvas's look, on top of ImGui. All draw at ImGui's cursor.

/// A round "?" that explains itself when the mouse is over it.
void helpMark(const ImGuiHost& host, const char* id, std::string_view text);
void tooltip(const ImGuiHost& host, std::string_view text);

/// "COLOUR" in small letters above a group; `help` may be empty.
void sectionTitle(const ImGuiHost& host, std::string_view title, std::string_view help = {});

/// A label, unless it begins with ##, and a drop-down list beside it, below its neighbours' lists where they have one
/// `labelWidth`; true when another entry was chosen.
bool choiceBox(const ImGuiHost& host, const char* label, std::span<const std::string> entries, int& index, float width,
               float labelWidth = 0);

/// How many lists of these widths stand side by side in `room`; where that is not all of them, `more` is left for the
/// button behind which the others are.
std::size_t listsThatFit(float room, std::span<const float> widths, float more);

/// Entries side by side of which one is on; true when another one was clicked.
bool segments(const ImGuiHost& host, const char* id, std::span<const std::string> entries, int& index, float width);

}  // namespace linscope::viz
