#include "viz/canvas/controls.h"

#include <imgui.h>

#include <algorithm>

#include "viz/canvas/math_text.h"

namespace linscope::viz {

void tooltip(const ImGuiHost& host, std::string_view text) {
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(12, 10));
    ImGui::BeginTooltip();
    ImGui::PushFont(host.fonts().text);
    ImGui::PushTextWrapPos(340);
    ImGui::TextUnformatted(text.data(), text.data() + text.size());
    ImGui::PopTextWrapPos();
    ImGui::PopFont();
    ImGui::EndTooltip();
    ImGui::PopStyleVar();
}

void helpMark(const ImGuiHost& host, const char* id, std::string_view text) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float size = 14;
    ImGui::InvisibleButton(id, {size, size});
    const bool hovered = ImGui::IsItemHovered();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const ImU32 colour = hovered ? host.theme().accent : host.theme().faint;
    list.AddCircle({at.x + size / 2, at.y + size / 2}, size / 2 - 0.5F, colour, 20);
    const ImFont* font = host.fonts().tiny;
    drawText(list, font, {at.x + (size - textWidth(font, "?")) / 2, at.y + (size - lineHeight(font)) / 2}, colour, "?");
    if (hovered) tooltip(host, text);
}

void sectionTitle(const ImGuiHost& host, std::string_view title, std::string_view help) {
    ImGui::PushFont(host.fonts().strong);
    ImGui::TextUnformatted(title.data(), title.data() + title.size());
    ImGui::PopFont();
    if (help.empty()) return;
    ImGui::SameLine();
    ImGui::SetCursorPosY(ImGui::GetCursorPosY() + 2);
    helpMark(host, std::string(title).c_str(), help);
}

bool choiceBox(const ImGuiHost& host, const char* label, std::span<const std::string> entries, int& index, float width,
               float labelWidth) {
    if (*label != '#') {
        ImGui::AlignTextToFramePadding();
        ImGui::PushStyleColor(ImGuiCol_Text, host.theme().muted);
        ImGui::TextUnformatted(label);
        ImGui::PopStyleColor();
        if (labelWidth > 0)
            ImGui::SameLine(ImGui::GetStyle().WindowPadding.x + labelWidth);
        else
            ImGui::SameLine(0, 6);
    }
    ImGui::SetNextItemWidth(width);
    const bool valid = index >= 0 && index < static_cast<int>(entries.size());
    bool changed = false;
    const std::string id = std::string("##") + label;
    if (ImGui::BeginCombo(id.c_str(), valid ? entries[static_cast<std::size_t>(index)].c_str() : "–",
                          ImGuiComboFlags_HeightLarge)) {
        for (int entry = 0; entry < static_cast<int>(entries.size()); ++entry) {
            ImGui::PushID(entry);
            if (ImGui::Selectable(entries[static_cast<std::size_t>(entry)].c_str(), entry == index) && entry != index) {
                index = entry;
                changed = true;
            }
            ImGui::PopID();
        }
        ImGui::EndCombo();
    }
    return changed;
}

std::size_t listsThatFit(float room, std::span<const float> widths, float more) {
    float used = 0;
    std::size_t beside = 0;  // of those that leave room for the button
    for (const float width : widths) {
        used += width;
        if (used + more <= room) ++beside;
    }
    return used <= room ? widths.size() : beside;
}

bool segments(const ImGuiHost& host, const char* id, std::span<const std::string> entries, int& index, float width) {
    const Theme& theme = host.theme();
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float height = ImGui::GetFrameHeight();
    const float each = width / static_cast<float>(std::max<std::size_t>(1, entries.size()));
    ImDrawList& list = *ImGui::GetWindowDrawList();
    list.AddRectFilled(at, {at.x + width, at.y + height}, ImGui::GetColorU32(ImGuiCol_FrameBg), 4);
    bool changed = false;
    ImGui::PushID(id);
    for (int entry = 0; entry < static_cast<int>(entries.size()); ++entry) {
        const ImVec2 from{at.x + each * static_cast<float>(entry), at.y};
        ImGui::SetCursorScreenPos(from);
        ImGui::PushID(entry);
        if (ImGui::InvisibleButton("segment", {each, height}) && entry != index) {
            index = entry;
            changed = true;
        }
        ImGui::PopID();
        const bool hovered = ImGui::IsItemHovered();
        if (entry == index)
            list.AddRectFilled({from.x + 2, from.y + 2}, {from.x + each - 2, from.y + height - 2},
                               ImGui::GetColorU32(ImGuiCol_HeaderHovered), 3);
        const ImFont* font = host.fonts().text;
        const std::string& text = entries[static_cast<std::size_t>(entry)];
        const float wide = std::min(textWidth(font, text), each - 6);
        drawText(list, font, {from.x + (each - wide) / 2, from.y + (height - lineHeight(font)) / 2},
                 entry == index || hovered ? theme.text : theme.muted, text, each - 6);
    }
    ImGui::PopID();
    return changed;
}

}  // namespace linscope::viz
