#pragma once

#include "core/analysis/maps.h"

namespace linscope {

/// Why the snapshot's mechanism has no token map (MechanismInfo::noTokenMap); empty where it has one.
std::string noTokenMap(const Snapshot& snapshot);

/// The map M [T,T] that a mechanism implies, o = M·v: a mechanism is linear in its values, so that column j of M
/// is what it makes of the values that are 1 at token j and 0 elsewhere. D columns take one pass. Throws Error where
/// it is not linear, where the snapshot lacks some of the mechanism's parameters (its run was logged by an older
/// version), and above kLongestImplied tokens, where M alone would take 256 MB.
Matrix impliedMap(const Snapshot& snapshot, int layer, int head, int sample);

inline constexpr std::int64_t kLongestImplied = 8192;

}  // namespace linscope
