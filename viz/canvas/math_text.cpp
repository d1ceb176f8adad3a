#include "viz/canvas/math_text.h"

#include <imgui_internal.h>

#include <algorithm>
#include <cmath>

namespace linscope::viz {

namespace {

constexpr std::string_view kMacron = "\u0304";
constexpr float kUnlimited = 1e9F;

float fontSize(const ImFont* font) {
    return font->FontSize * ImGui::GetIO().FontGlobalScale;
}

float measure(const ImFont* font, std::string_view text) {
    if (text.empty()) return 0;
    return font->CalcTextSizeA(fontSize(font), kUnlimited, 0, text.data(), text.data() + text.size()).x;
}

void put(ImDrawList& list, const ImFont* font, ImVec2 position, ImU32 colour, std::string_view text) {
    if (text.empty()) return;
    list.AddText(font, fontSize(font), position, colour, text.data(), text.data() + text.size());
}

std::size_t lastLetter(std::string_view text) {
    std::size_t at = text.size();
    while (at > 0) {
        --at;
        if ((static_cast<unsigned char>(text[at]) & 0xC0U) != 0x80U) break;
    }
    return at;
}

}  // namespace

float lineHeight(const ImFont* font) {
    return fontSize(font);
}

float textWidth(const ImFont* font, std::string_view text) {
    return measure(font, text);
}

float mathTextWidth(const ImFont* font, std::string_view text) {
    float width = 0;
    for (std::size_t bar = text.find(kMacron); bar != std::string_view::npos; bar = text.find(kMacron)) {
        width += measure(font, text.substr(0, bar));
        text.remove_prefix(bar + kMacron.size());
    }
    return width + measure(font, text);
}

float drawMathText(ImDrawList& list, const ImFont* font, ImVec2 position, ImU32 colour, std::string_view text) {
    const float begin = position.x;
    for (std::size_t bar = text.find(kMacron); bar != std::string_view::npos; bar = text.find(kMacron)) {
        const std::string_view part = text.substr(0, bar);
        const std::size_t letter = lastLetter(part);
        const float left = position.x + measure(font, part.substr(0, letter));
        const float right = position.x + measure(font, part);
        put(list, font, position, colour, part);
        const float thick = std::max(1.0F, fontSize(font) * 0.085F);
        const float y = position.y + fontSize(font) * 0.02F;
        list.AddRectFilled({left + 0.5F, y}, {right - 1.0F, y + thick}, colour);
        position.x = right;
        text.remove_prefix(bar + kMacron.size());
    }
    put(list, font, position, colour, text);
    return position.x + measure(font, text) - begin;
}

void drawText(ImDrawList& list, const ImFont* font, ImVec2 position, ImU32 colour, std::string_view text, float width) {
    if (width < 0 || measure(font, text) <= width) return put(list, font, position, colour, text);
    constexpr std::string_view dots = "…";
    while (!text.empty() && measure(font, text) + measure(font, dots) > width) text = text.substr(0, lastLetter(text));
    put(list, font, position, colour, std::string(text) + std::string(dots));
}

}  // namespace linscope::viz
