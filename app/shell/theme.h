#pragma once

#include <QColor>
#include <QFont>
#include <QIcon>
#include <QString>

class QApplication;

namespace linscope::app {

/// On a dark ground or on a light one, for bright rooms and for print.
enum class Look { Dark, Light };

/// The look of the whole program: Fusion with a palette of its own, Inter where it is installed. Before windows are
/// made.
void applyTheme(QApplication& application, Look look = Look::Dark);
/// The application's, told by its palette.
Look look();

/// The colour of a lane wherever it is drawn: Okabe and Ito's palette, which colour-blind people can
/// tell apart, in the order that is easiest to see on dark ground.
QColor laneColor(int lane);
QIcon laneSwatch(int lane);

QColor errorColor();
QColor mutedColor();
QColor gridColor();
QColor axisColor();
QColor plotColor();  ///< the ground of charts
QColor tipColor();   ///< the ground of what lies over something else

/// An icon of assets/icons, in the look that the application has then.
QIcon icon(const QString& name);

}  // namespace linscope::app
