#include "app/canvas/qt_input.h"

#include <QFocusEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QWheelEvent>

#include <string>

namespace linscope::app {

namespace {

std::optional<viz::UiKey> uiKey(int key) {
    using viz::UiKey;
    switch (key) {
        case Qt::Key_Tab:
            return UiKey::Tab;
        case Qt::Key_Left:
            return UiKey::Left;
        case Qt::Key_Right:
            return UiKey::Right;
        case Qt::Key_Up:
            return UiKey::Up;
        case Qt::Key_Down:
            return UiKey::Down;
        case Qt::Key_PageUp:
            return UiKey::PageUp;
        case Qt::Key_PageDown:
            return UiKey::PageDown;
        case Qt::Key_Home:
            return UiKey::Home;
        case Qt::Key_End:
            return UiKey::End;
        case Qt::Key_Insert:
            return UiKey::Insert;
        case Qt::Key_Delete:
            return UiKey::Delete;
        case Qt::Key_Backspace:
            return UiKey::Backspace;
        case Qt::Key_Space:
            return UiKey::Space;
        case Qt::Key_Return:
            return UiKey::Enter;
        case Qt::Key_Escape:
            return UiKey::Escape;
        case Qt::Key_Enter:
            return UiKey::KeypadEnter;
        case Qt::Key_A:
            return UiKey::A;
        case Qt::Key_C:
            return UiKey::C;
        case Qt::Key_V:
            return UiKey::V;
        case Qt::Key_X:
            return UiKey::X;
        case Qt::Key_Y:
            return UiKey::Y;
        case Qt::Key_Z:
            return UiKey::Z;
        default:
            return std::nullopt;
    }
}

int buttonIndex(Qt::MouseButton button) {
    switch (button) {
        case Qt::LeftButton:
            return 0;
        case Qt::RightButton:
            return 1;
        case Qt::MiddleButton:
            return 2;
        default:
            return -1;
    }
}

void tellModifiers(const QInputEvent& event, viz::ImGuiHost& host) {
    const Qt::KeyboardModifiers state = event.modifiers();
    host.modifiers({.control = state.testFlag(Qt::ControlModifier),
                    .shift = state.testFlag(Qt::ShiftModifier),
                    .alt = state.testFlag(Qt::AltModifier),
                    .super = state.testFlag(Qt::MetaModifier)});
}

void tellPosition(const QSinglePointEvent& event, viz::ImGuiHost& host) {
    host.mouseMoved(static_cast<float>(event.position().x()), static_cast<float>(event.position().y()));
}

}  // namespace

bool forwardToImGui(const QEvent& event, viz::ImGuiHost& host) {
    switch (event.type()) {
        case QEvent::MouseMove: {
            const auto& mouse = static_cast<const QMouseEvent&>(event);
            tellModifiers(mouse, host);
            tellPosition(mouse, host);
            return true;
        }
        case QEvent::MouseButtonPress:
        case QEvent::MouseButtonDblClick:
        case QEvent::MouseButtonRelease: {
            const auto& mouse = static_cast<const QMouseEvent&>(event);
            tellModifiers(mouse, host);
            tellPosition(mouse, host);
            host.mouseButton(buttonIndex(mouse.button()), event.type() != QEvent::MouseButtonRelease);
            return true;
        }
        case QEvent::Wheel: {
            const auto& wheel = static_cast<const QWheelEvent&>(event);
            tellModifiers(wheel, host);
            tellPosition(wheel, host);
            // A notch of a mouse wheel is 120 eighths of a degree; touchpads send fractions of it.
            host.wheel(static_cast<float>(wheel.angleDelta().x()) / 120.0F,
                       static_cast<float>(wheel.angleDelta().y()) / 120.0F);
            return true;
        }
        case QEvent::KeyPress:
        case QEvent::KeyRelease: {
            const auto& key = static_cast<const QKeyEvent&>(event);
            const bool down = event.type() == QEvent::KeyPress;
            tellModifiers(key, host);
            if (const auto known = uiKey(key.key())) host.key(*known, down);
            // Any length: composed letters and letters beyond the basic plane come as several units.
            if (down && !key.text().isEmpty() && key.text().at(0).isPrint()) host.text(key.text().toStdString());
            return true;
        }
        case QEvent::Leave:
            host.mouseGone();
            return true;
        case QEvent::FocusIn:
            host.focus(true);
            return true;
        case QEvent::FocusOut:
            host.focus(false);
            return true;
        default:
            return false;
    }
}

std::optional<viz::CanvasKey> canvasKey(int qtKey, Qt::KeyboardModifiers modifiers) {
    using viz::CanvasKey;
    if (modifiers & (Qt::ControlModifier | Qt::AltModifier | Qt::MetaModifier)) return std::nullopt;
    switch (qtKey) {
        case Qt::Key_F:
            return CanvasKey::Fit;
        case Qt::Key_Plus:
        case Qt::Key_Equal:
            return CanvasKey::ZoomIn;
        case Qt::Key_Minus:
            return CanvasKey::ZoomOut;
        case Qt::Key_Left:
            return CanvasKey::Left;
        case Qt::Key_Right:
            return CanvasKey::Right;
        case Qt::Key_Up:
            return CanvasKey::Up;
        case Qt::Key_Down:
            return CanvasKey::Down;
        case Qt::Key_Escape:
            return CanvasKey::Release;
        case Qt::Key_H:  // brackets go through the stored steps
            return modifiers & Qt::ShiftModifier ? CanvasKey::PreviousHead : CanvasKey::NextHead;
        case Qt::Key_PageDown:
            return CanvasKey::NextLayer;
        case Qt::Key_PageUp:
            return CanvasKey::PreviousLayer;
        default:
            return std::nullopt;
    }
}

}  // namespace linscope::app
