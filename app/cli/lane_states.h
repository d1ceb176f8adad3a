#pragma once

#include <string>

#include "core/io/run_file.h"

// What is said of a lane's state to a person.

namespace linscope::app {

/// The text as a line can have it: with a blank for each control character, and so without what would steer a terminal.
std::string lineOf(std::string text);

/// "diverged at step 21: blocks.0.mlp.up.weight (value)", with the step where the run's log has it.
std::string stopText(const RunFileReader& run, int lane, LaneState state, const std::string& message);

/// "finished", "stopped", "running", …: a lane that has not stopped by itself is where its run is; "cut off" where
/// nobody writes the run any more, which none has ended.
std::string stateText(const RunFileReader& run, const LaneRecord& lane);

}  // namespace linscope::app
