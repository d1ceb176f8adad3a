#pragma once

#include <QImage>
#include <QStringList>
#include <vector>

#include "app/panels/legend.h"
#include "app/session/run.h"

class QWidget;

namespace linscope::app {

/// Which run charts are of, where they stand alone in a file.
struct ChartCaption {
    QString title;   ///< of the experiment
    QString detail;  ///< "masked_bytes · first-light-20261130-083512.h5 · step 1200"
};
ChartCaption captionOf(const Run& run);

/// A picture, twice as fine as the screen, of `charts` (all the Chart widgets in it) below the caption, the whole
/// legend and the notes. The caption is in the file's metadata too.
QImage chartPicture(const ChartCaption& caption, const std::vector<Legend::Entry>& legend, const QStringList& notes,
                    QWidget& charts);

}  // namespace linscope::app
