#include "viz/imgui/theme.h"

namespace linscope::viz {

namespace {

ImVec4 colour(ImU32 packed, float alpha = 1.0F) {
    ImVec4 value = ImGui::ColorConvertU32ToFloat4(packed);
    value.w *= alpha;
    return value;
}

}  // namespace

Theme lightTheme() {
    return {.dark = false,
            .ground = IM_COL32(236, 238, 241, 255),
            .card = IM_COL32(252, 252, 253, 255),
            .cardLine = IM_COL32(205, 210, 217, 255),
            .well = IM_COL32(228, 231, 235, 255),
            .text = IM_COL32(28, 32, 38, 255),
            .muted = IM_COL32(88, 96, 108, 255),
            .faint = IM_COL32(140, 148, 160, 255),
            .accent = IM_COL32(24, 110, 196, 255),
            .warn = IM_COL32(176, 104, 0, 255),
            .deep = IM_COL32(140, 185, 232, 255),
            .veil = IM_COL32(228, 231, 235, 170),
            .outline = IM_COL32(20, 24, 30, 190),
            .touched = IM_COL32(0, 0, 0, 14),
            .control = IM_COL32(226, 229, 234, 255),
            .controlHovered = IM_COL32(214, 219, 226, 255),
            .controlActive = IM_COL32(200, 207, 216, 255),
            .popup = IM_COL32(252, 252, 253, 252)};
}

void applyTheme(ImGuiStyle& style, const Theme& theme) {
    style.WindowPadding = {12, 10};
    style.FramePadding = {8, 4};
    style.ItemSpacing = {8, 6};
    style.ItemInnerSpacing = {6, 4};
    style.WindowRounding = 0;
    style.ChildRounding = 6;
    style.FrameRounding = 4;
    style.PopupRounding = 6;
    style.GrabRounding = 3;
    style.ScrollbarRounding = 4;
    style.ScrollbarSize = 10;
    style.GrabMinSize = 10;
    style.WindowBorderSize = 0;
    style.ChildBorderSize = 0;
    style.FrameBorderSize = 0;
    style.PopupBorderSize = 1;

    const ImVec4 control = colour(theme.control), hovered = colour(theme.controlHovered),
                 active = colour(theme.controlActive);
    ImVec4* colours = style.Colors;
    colours[ImGuiCol_Text] = colour(theme.text);
    colours[ImGuiCol_TextDisabled] = colour(theme.muted);
    colours[ImGuiCol_WindowBg] = colour(theme.ground, 0);
    colours[ImGuiCol_ChildBg] = colour(theme.card, 0);
    colours[ImGuiCol_PopupBg] = colour(theme.popup);
    colours[ImGuiCol_Border] = colour(theme.cardLine);
    colours[ImGuiCol_FrameBg] = control;
    colours[ImGuiCol_FrameBgHovered] = hovered;
    colours[ImGuiCol_FrameBgActive] = active;
    colours[ImGuiCol_Button] = control;
    colours[ImGuiCol_ButtonHovered] = hovered;
    colours[ImGuiCol_ButtonActive] = active;
    colours[ImGuiCol_Header] = colour(theme.accent, 0.22F);
    colours[ImGuiCol_HeaderHovered] = colour(theme.accent, 0.32F);
    colours[ImGuiCol_HeaderActive] = colour(theme.accent, 0.42F);
    colours[ImGuiCol_CheckMark] = colour(theme.accent);
    colours[ImGuiCol_SliderGrab] = colour(theme.accent);
    colours[ImGuiCol_SliderGrabActive] = colour(theme.accent);
    colours[ImGuiCol_Separator] = colour(theme.cardLine);
    colours[ImGuiCol_ScrollbarBg] = colour(theme.card, 0);
    colours[ImGuiCol_ScrollbarGrab] = control;
    colours[ImGuiCol_ScrollbarGrabHovered] = hovered;
    colours[ImGuiCol_ScrollbarGrabActive] = active;
    colours[ImGuiCol_NavHighlight] = colour(theme.accent);
}

}  // namespace linscope::viz
