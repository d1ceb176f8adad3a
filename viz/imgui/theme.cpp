#include "viz/imgui/theme.h"

namespace linscope::viz {

namespace {

ImVec4 colour(ImU32 packed, float alpha = 1.0F) {
    ImVec4 value = ImGui::ColorConvertU32ToFloat4(packed);
    value.w *= alpha;
    return value;
}

}  // namespace

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

    const ImVec4 control = colour(IM_COL32(41, 46, 55, 255));
    const ImVec4 hovered = colour(IM_COL32(52, 58, 69, 255));
    const ImVec4 active = colour(IM_COL32(63, 71, 84, 255));
    ImVec4* colours = style.Colors;
    colours[ImGuiCol_Text] = colour(theme.text);
    colours[ImGuiCol_TextDisabled] = colour(theme.muted);
    colours[ImGuiCol_WindowBg] = colour(theme.ground, 0);
    colours[ImGuiCol_ChildBg] = colour(theme.card, 0);
    colours[ImGuiCol_PopupBg] = colour(IM_COL32(33, 37, 44, 252));
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
