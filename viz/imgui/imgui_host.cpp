#include "viz/imgui/imgui_host.h"

#include <imgui.h>
#include <imgui_internal.h>

#include <algorithm>
#include <cfloat>
#include <string>

namespace linscope::viz {

namespace {

constexpr std::array<int, kUiKeyCount> kImGuiKeys {
    ImGuiKey_Tab, ImGuiKey_LeftArrow, ImGuiKey_RightArrow, ImGuiKey_UpArrow, ImGuiKey_DownArrow, ImGuiKey_PageUp,
        ImGuiKey_PageDown, ImGuiKey_Home, ImGuiKey_End, ImGuiKey_Insert, ImGuiKey_Delete, ImGuiKey_Backspace,
        ImGuiKey_Space, ImGuiKey_Enter, ImGuiKey_Escape,
#if IMGUI_VERSION_NUM >= 18700
        ImGuiKey_KeypadEnter,
#else
        ImGuiKey_KeyPadEnter,
#endif
        ImGuiKey_A, ImGuiKey_C, ImGuiKey_V, ImGuiKey_X, ImGuiKey_Y, ImGuiKey_Z
};

}  // namespace

ImGuiHost::ImGuiHost() {
    ImGuiContext* const before = ImGui::GetCurrentContext();
    m_context = ImGui::CreateContext();
    if (before) ImGui::SetCurrentContext(before);
    makeCurrent();
    ImGuiIO& io = ImGui::GetIO();
    io.IniFilename = nullptr;
    io.LogFilename = nullptr;
    io.BackendPlatformName = "linscope";
    io.ConfigWindowsMoveFromTitleBarOnly = true;
#if IMGUI_VERSION_NUM < 18700
    for (int index = 0; index < kUiKeyCount; ++index) io.KeyMap[kImGuiKeys[index]] = kImGuiKeys[index];
#endif
    setTheme(m_theme);
}

ImGuiHost::~ImGuiHost() {
    ImGui::DestroyContext(m_context);
}

void ImGuiHost::setTheme(const Theme& theme) {
    makeCurrent();
    m_theme = theme;
    applyTheme(ImGui::GetStyle(), m_theme);
}

void ImGuiHost::makeCurrent() const {
    ImGui::SetCurrentContext(m_context);
}

bool ImGuiHost::setScale(float scale) {
    scale = std::clamp(scale, 0.5F, 8.0F);
    if (scale == m_scale) return false;
    makeCurrent();
    m_scale = scale;
    ImGuiIO& io = ImGui::GetIO();
    m_fonts = buildFonts(*io.Fonts, scale);
    io.FontGlobalScale = 1.0F / scale;
    io.FontDefault = m_fonts.text;
    return true;
}

void ImGuiHost::mouseMoved(float x, float y) {
    makeCurrent();
#if IMGUI_VERSION_NUM >= 18700
    ImGui::GetIO().AddMousePosEvent(x, y);
#else
    ImGui::GetIO().MousePos = {x, y};
#endif
}

void ImGuiHost::mouseGone() {
    mouseMoved(-FLT_MAX, -FLT_MAX);
}

void ImGuiHost::mouseButton(int button, bool down) {
    if (button < 0 || button >= static_cast<int>(m_buttons.size())) return;
    m_buttons[button] = down;
#if IMGUI_VERSION_NUM >= 18700
    makeCurrent();
    ImGui::GetIO().AddMouseButtonEvent(button, down);
#else
    if (down) m_justPressed[button] = true;
#endif
}

void ImGuiHost::wheel(float horizontal, float vertical) {
    makeCurrent();
#if IMGUI_VERSION_NUM >= 18700
    ImGui::GetIO().AddMouseWheelEvent(horizontal, vertical);
#else
    ImGui::GetIO().MouseWheelH += horizontal;
    ImGui::GetIO().MouseWheel += vertical;
#endif
}

void ImGuiHost::key(UiKey key, bool down) {
    const int index = static_cast<int>(key);
    m_keys[index] = down;
#if IMGUI_VERSION_NUM >= 18700
    makeCurrent();
    ImGui::GetIO().AddKeyEvent(static_cast<ImGuiKey>(kImGuiKeys[index]), down);
#else
    if (down) m_keysPressed[index] = true;
#endif
}

void ImGuiHost::text(std::string_view utf8) {
    makeCurrent();
    ImGui::GetIO().AddInputCharactersUTF8(std::string(utf8).c_str());
}

void ImGuiHost::modifiers(const UiModifiers& state) {
    makeCurrent();
    ImGuiIO& io = ImGui::GetIO();
#if IMGUI_VERSION_NUM >= 18900
    io.AddKeyEvent(ImGuiMod_Ctrl, state.control);
    io.AddKeyEvent(ImGuiMod_Shift, state.shift);
    io.AddKeyEvent(ImGuiMod_Alt, state.alt);
    io.AddKeyEvent(ImGuiMod_Super, state.super);
#elif IMGUI_VERSION_NUM >= 18700
    io.AddKeyEvent(ImGuiKey_ModCtrl, state.control);
    io.AddKeyEvent(ImGuiKey_ModShift, state.shift);
    io.AddKeyEvent(ImGuiKey_ModAlt, state.alt);
    io.AddKeyEvent(ImGuiKey_ModSuper, state.super);
#else
    io.KeyCtrl = state.control;
    io.KeyShift = state.shift;
    io.KeyAlt = state.alt;
    io.KeySuper = state.super;
#endif
}

void ImGuiHost::focus(bool focused) {
    makeCurrent();
    if (!focused) {
        for (int index = 0; index < kUiKeyCount; ++index)
            if (m_keys[index]) key(static_cast<UiKey>(index), false);
        for (int button = 0; button < static_cast<int>(m_buttons.size()); ++button)
            if (m_buttons[button]) mouseButton(button, false);
        m_keysPressed.fill(false);
        m_justPressed.fill(false);
        modifiers({});
    }
#if IMGUI_VERSION_NUM >= 18700
    ImGui::GetIO().AddFocusEvent(focused);
#else
    if (!focused) ImGui::GetIO().ClearInputCharacters();
#endif
}

bool ImGuiHost::wantsText() const {
    makeCurrent();
    return ImGui::GetIO().WantTextInput;
}

bool ImGuiHost::closePopups() {
    // ImGui does so itself where its keyboard navigation is on; here keys belong to the maps.
    makeCurrent();
    if (m_context->OpenPopupStack.empty()) return false;
    ImGui::ClosePopupToLevel(0, true);
    return true;
}

void ImGuiHost::beginFrame(float width, float height, double secondsSinceLast) {
    makeCurrent();
    ImGuiIO& io = ImGui::GetIO();
    io.DisplaySize = {width, height};
    io.DisplayFramebufferScale = {m_scale, m_scale};
    io.DeltaTime = static_cast<float>(std::clamp(secondsSinceLast, 1e-4, 0.25));
    m_pending = false;
#if IMGUI_VERSION_NUM < 18700
    for (int button = 0; button < static_cast<int>(m_buttons.size()); ++button) {
        io.MouseDown[button] = m_buttons[button] || m_justPressed[button];
        m_pending = m_pending || (m_justPressed[button] && !m_buttons[button]);
    }
    for (int index = 0; index < kUiKeyCount; ++index) {
        io.KeysDown[kImGuiKeys[index]] = m_keys[index] || m_keysPressed[index];
        m_pending = m_pending || (m_keysPressed[index] && !m_keys[index]);
    }
    m_justPressed.fill(false);
    m_keysPressed.fill(false);
#endif
    ImGui::NewFrame();
}

ImDrawData* ImGuiHost::endFrame() {
    makeCurrent();
    ImGui::Render();
    return ImGui::GetDrawData();
}

}  // namespace linscope::viz
