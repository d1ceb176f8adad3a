#pragma once

class QWidget;

namespace linscope::app {

/// The widget inside a frame that scrolls it up and down where it is higher than its place, so that a dock with much in
/// it never makes the window higher than the screen.
QWidget* scrolled(QWidget* content);

}  // namespace linscope::app
