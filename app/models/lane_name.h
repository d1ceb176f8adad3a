#pragma once

#include <optional>
#include <string>

#include "core/experiment/experiment.h"

namespace linscope::app {

/// The name that a lane has after a change of its mechanism or options, where its name so far says what it was before:
/// the mechanism, perhaps values of options ("linformer k=64", "window 16") and a number that tells it from a copy.
/// Nothing where the name says something else, which only a person can have chosen.
std::optional<std::string> followedName(const LaneConfig& before, const LaneConfig& after);

}  // namespace linscope::app
