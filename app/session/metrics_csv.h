#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "app/session/run_record.h"

namespace linscope::app {

/// A lane and what its rows say of the run that it belongs to.
struct RunLane {
    std::string run, task;
    const LaneRecord* record = nullptr;
};

/// A field of RFC 4180: in quotes where it needs them.
std::string csvField(const std::string& text);

/// Writes raw values, one row for each step and lane at which any of `metrics` was measured:
/// `step,lane,run,task,<metric>…`, RFC 4180, an empty field where a metric was not measured.
void writeMetricsCsv(std::ostream& out, const std::vector<RunLane>& lanes, const std::vector<std::string>& metrics);

}  // namespace linscope::app
