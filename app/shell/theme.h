#pragma once

#include <QColor>
#include <QFont>
#include <QIcon>
#include <QString>

class QApplication;
class QEvent;

namespace linscope::app {

/// On a dark ground or on a light one, for bright rooms and for print.
enum class Look { Dark, Light };

/// The look of the whole program: Fusion with a palette of its own, Inter where it is installed. At any time: widgets
/// whose colours are of their own making take the new ones when isNewLook() tells them.
void applyTheme(QApplication& application, Look look = Look::Dark);
/// In changeEvent(): the colours below are others now.
bool isNewLook(const QEvent& event);
/// The application's, told by its palette.
Look look();

/// The light look while it lives, for what is drawn for print.
class LightLook {
public:
    LightLook();
    ~LightLook();
    LightLook(const LightLook&) = delete;
    LightLook& operator=(const LightLook&) = delete;

private:
    Look m_before;
};

/// The colour of a lane wherever it is drawn: Okabe and Ito's palette, which colour-blind people can
/// tell apart, in the order that is easiest to see on dark ground.
QColor laneColor(int lane);
/// In the colour that the lane has whenever it is drawn.
QIcon laneSwatch(int lane);

QColor errorColor();
QColor warningColor();
QColor goodColor();
QColor mutedColor();
QColor gridColor();
QColor axisColor();
QColor plotColor();  ///< the ground of charts
QColor tipColor();   ///< the ground of what lies over something else

/// An icon of assets/icons, in the look that the application has whenever it is drawn.
QIcon icon(const QString& name);

}  // namespace linscope::app
