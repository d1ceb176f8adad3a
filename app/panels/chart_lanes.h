#pragma once

#include <QPen>
#include <QString>
#include <QStringList>
#include <vector>

#include "app/session/session.h"

namespace linscope::app {

/// A lane whose curves the charts draw: of the run that is shown, or of one that is laid over it.
struct ChartLane {
    const LaneRecord* record = nullptr;
    QPen pen;
    QString name;     ///< of a laid-over run "run / lane", with the task behind it where that is another one
    int overlay = 0;  ///< Overlay::id; 0: of the run that is shown
    QString run;      ///< the run's file without its ending, with its folder where files of that name are shown twice
    QString task;     ///< the run's
};

/// Lanes of the run (nullptr: none), then those of what is laid over it. A laid-over lane has a tint of the colour of
/// the run's lane of its name, else of one that no lane of the run has while there are such; it is dashed, and dashes
/// and tint are those of its run, so that it is seen where it lies on another curve. Runs are called by their titles,
/// or by their files where titles are alike. A run is not laid over itself.
std::vector<ChartLane> chartLanes(const Run* run, const std::vector<Overlay>& overlays);

/// What must be known to compare the runs, a sentence each: that one has another task or other options of it, or that
/// it is the same experiment.
QStringList overlayNotes(const Run* run, const std::vector<Overlay>& overlays);

}  // namespace linscope::app
