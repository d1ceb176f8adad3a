#pragma once

#include <QPen>
#include <QString>
#include <vector>

#include "app/session/session.h"

namespace linscope::app {

/// A lane whose curves the charts draw: of the run that is shown, or of one that is laid over it.
struct ChartLane {
    const LaneRecord* record = nullptr;
    QPen pen;
    QString name;     ///< of a laid-over run "run / lane"
    int overlay = 0;  ///< Overlay::id; 0: of the run that is shown
};

/// Lanes of the run (nullptr: none), then those of what is laid over it. A laid-over lane has the colour of the run's
/// lane of its name, else one that no lane of the run has while there are such; it is dimmed and dashed, each run in
/// its own way. Runs are called by their titles, or by their files where titles are alike. A run is not laid over
/// itself.
std::vector<ChartLane> chartLanes(const Run* run, const std::vector<Overlay>& overlays);

}  // namespace linscope::app
