#pragma once

#include <array>
#include <string_view>

#include "viz/imgui/fonts.h"
#include "viz/imgui/theme.h"

struct ImGuiContext;
struct ImDrawData;

namespace linscope::viz {

/// The keys that ImGui's own controls understand.
enum class UiKey {
    Tab,
    Left,
    Right,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Insert,
    Delete,
    Backspace,
    Space,
    Enter,
    Escape,
    KeypadEnter,
    A,
    C,
    V,
    X,
    Y,
    Z
};
inline constexpr int kUiKeyCount = 22;

struct UiModifiers {
    bool control = false, shift = false, alt = false, super = false;
};

/// One ImGui context with its fonts, its look and its input, without a window and without Vulkan. It
/// speaks the older key interface of Dear ImGui (io.KeysDown) as well as that of 1.87 and later
/// (AddKeyEvent). With both, a press and a release that arrive between two frames are one click in
/// two frames: none is lost.
class ImGuiHost {
public:
    ImGuiHost();
    ~ImGuiHost();
    ImGuiHost(const ImGuiHost&) = delete;
    ImGuiHost& operator=(const ImGuiHost&) = delete;

    /// Device pixels per logical pixel. True when the fonts were built anew and must be uploaded.
    bool setScale(float scale);
    float scale() const { return m_scale; }

    // Positions in logical pixels.
    void mouseMoved(float x, float y);
    void mouseGone();
    void mouseButton(int button, bool down);  ///< 0 left, 1 right, 2 middle
    void wheel(float horizontal, float vertical);
    void key(UiKey key, bool down);
    void text(std::string_view utf8);
    void modifiers(const UiModifiers& state);
    /// On false all keys and buttons are let go: their releases go to another window.
    void focus(bool focused);

    void beginFrame(float width, float height, double secondsSinceLast);
    ImDrawData* endFrame();
    /// True while input is not yet fully told to ImGui (a click's release waits for the next frame).
    bool pending() const { return m_pending; }

    /// True while a control is being typed into: keys are letters then, not commands.
    bool wantsText() const;
    /// Closes all menus that are open; false when there were none. Between two frames.
    bool closePopups();

    const Fonts& fonts() const { return m_fonts; }
    const Theme& theme() const { return m_theme; }
    void setTheme(const Theme& theme);
    /// Makes this context ImGui's current one; every call above does so by itself.
    void makeCurrent() const;

private:
    ImGuiContext* m_context = nullptr;
    Fonts m_fonts;
    Theme m_theme;
    float m_scale = 0;
    bool m_pending = false;
    std::array<bool, 3> m_buttons{};      ///< as the window said last
    std::array<bool, 3> m_justPressed{};  ///< since the last frame
    std::array<bool, kUiKeyCount> m_keys{};
    std::array<bool, kUiKeyCount> m_keysPressed{};
};

}  // namespace linscope::viz
