#pragma once

#include <QColor>
#include <QFont>
#include <QIcon>
#include <QString>

class QApplication;

namespace linscope::app {

/// The look of the whole program: Fusion with a dark palette, Inter where it is installed.
void applyTheme(QApplication& application);

/// The colour of a lane wherever it is drawn: Okabe and Ito's palette, which colour-blind people can
/// tell apart, in the order that is easiest to see on dark ground.
QColor laneColor(int lane);
QIcon laneSwatch(int lane);

QColor errorColor();
QColor mutedColor();
QColor gridColor();
QColor plotColor();  ///< the ground of charts

/// An icon of assets/icons.
QIcon icon(const QString& name);

}  // namespace linscope::app
