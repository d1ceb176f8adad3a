#pragma once

#include <iosfwd>
#include <string>

#include "app/session/run_record.h"

namespace linscope::app {

/// What a table has of a projection matrix.
struct ProjectionTable {
    std::string run, lane;
    bool spectrum = true, conditioning = true, drift = true;
};

/// Writes one number a row: `run,lane,matrix,step,measure,index,value`, RFC 4180, of every step at which it was
/// probed. `index` counts singular values from 1 and is empty of measures that are one number.
void writeProjectionCsv(std::ostream& out, const ProjectionTable& table, const ProjectionSeries& series);

}  // namespace linscope::app
