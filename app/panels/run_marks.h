#pragma once

#include <vector>

#include "app/panels/chart_marks.h"
#include "app/session/run_record.h"

namespace linscope::app {

/// Where a person has changed how the run learns: what its charts over steps mark.
std::vector<ChartMark> runMarks(const RunRecord& record);

}  // namespace linscope::app
