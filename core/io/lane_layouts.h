#pragma once

#include <vector>

#include "core/io/run_file.h"

namespace linscope {

class Trainer;

/// What a run file must know of each of the trainer's lanes before the first step.
std::vector<LaneLayout> laneLayouts(Trainer& trainer);

}  // namespace linscope
