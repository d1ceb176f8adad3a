#pragma once

#include <imgui.h>

#include <string>
#include <string_view>

namespace linscope::viz {

/// Draws UTF-8 text in which U+0304 (combining macron) puts a bar over the letter before it: "P̄". Font
/// rasterisers without shaping would set the bar beside the letter. Returns the width in logical pixels.
float drawMathText(ImDrawList& list, const ImFont* font, ImVec2 position, ImU32 colour, std::string_view text);
float mathTextWidth(const ImFont* font, std::string_view text);
/// Height of a line of the font in logical pixels.
float lineHeight(const ImFont* font);

/// Draws plain text, cut with an ellipsis where it is wider than `width`; negative: never cut.
void drawText(ImDrawList& list, const ImFont* font, ImVec2 position, ImU32 colour, std::string_view text,
              float width = -1);
float textWidth(const ImFont* font, std::string_view text);

}  // namespace linscope::viz
