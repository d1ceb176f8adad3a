#pragma once

#include <QEvent>

#include <optional>

#include "viz/canvas/canvas_scene.h"
#include "viz/imgui/imgui_host.h"

namespace linscope::app {

/// Tells ImGui about a window's event. True when it was one of mouse, wheel, keys or focus, after which
/// a frame is due. Modifiers are told with every event, so that a key let go elsewhere is not missed.
bool forwardToImGui(const QEvent& event, viz::ImGuiHost& host);

/// What a key press means on the canvas when no ImGui control is being typed into.
std::optional<viz::CanvasKey> canvasKey(int qtKey, Qt::KeyboardModifiers modifiers);

}  // namespace linscope::app
