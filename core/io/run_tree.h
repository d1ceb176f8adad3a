#pragma once

#include <cstdint>
#include <vector>

#include "core/io/hdf5_handle.h"
#include "core/io/run_file.h"

namespace linscope {

/// Makes every group, dataset, scale and attribute that a run will ever need in the empty `file`, since
/// none can be added while others read. The caller holds a Hdf5Session.
void makeRunTree(hid_t file, const Experiment& experiment, const Task& task, const std::vector<LaneLayout>& lanes);

/// The local time of now, "2025-01-31T12:00:00+01:00".
std::string isoTimeNow();

}  // namespace linscope
