#pragma once

#include <string>

#include "core/experiment/experiment.h"
#include "core/tensor/tensor.h"

namespace linscope::app {

/// The device that "cpu", "cuda" or "auto" stands for. "auto" is the CUDA device where there is one and every lane has
/// a form for it. Throws Error where "cuda" cannot be had: in a build, on a machine or for a lane without it.
Device chosenDevice(const std::string& device, const Experiment& experiment);

}  // namespace linscope::app
