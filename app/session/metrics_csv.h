#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "app/session/run_record.h"

namespace linscope::app {

/// A lane under the name that its rows have.
struct NamedLane {
    std::string name;
    const LaneRecord* record = nullptr;
};

/// Writes raw values, one row for each step and lane at which any of `metrics` was measured:
/// `step,lane,<metric>…`, RFC 4180, an empty field where a metric was not measured.
void writeMetricsCsv(std::ostream& out, const std::vector<NamedLane>& lanes, const std::vector<std::string>& metrics);

}  // namespace linscope::app
