#pragma once

#include <functional>

namespace linscope::app {

/// When what was first seen, in seconds after the start of the process.
struct StartBenchResult {
    double window = 0;     ///< the window is there, its canvas drawn
    double maps = 0;       ///< the maps of the untrained model are in it
    double firstStep = 0;  ///< and those of the model after its first training step or a later one
};

/// Opens the window on the default experiment, waits for its first step, and closes it. Counts from the start of
/// the process, so that it measures once. Needs a display; throws Error without one or without Vulkan.
using MeasureStart = std::function<StartBenchResult()>;

}  // namespace linscope::app
