#pragma once

#include <QString>
#include <vector>

#include "app/panels/chart_export.h"
#include "app/panels/chart_picture.h"

namespace linscope::app {

class ChartFrame;

/// Charts as lines and texts in a PDF or SVG file: of one width and height each, whatever room they have on the screen,
/// below the caption, with the notes, on a white ground. `legend` serves all of them; where it is empty each has one of
/// its own curves. False: the file cannot be written.
bool writeFigure(const QString& path, ChartFormat format, const ChartCaption& caption,
                 const std::vector<Legend::Entry>& legend, const QStringList& notes,
                 const std::vector<ChartFrame*>& charts);

}  // namespace linscope::app
