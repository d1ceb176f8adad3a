#pragma once

#include <memory>

#include "core/analysis/maps.h"
#include "core/attention/mechanism.h"
#include "core/nn/parameters.h"

namespace linscope {

/// Why the snapshot's mechanism has no token map (MechanismInfo::noTokenMap); empty where it has one.
std::string noTokenMap(const Snapshot& snapshot);

/// The mechanism of a snapshot with the parameters and projections that the snapshot holds: what finds the map that it
/// implies, by values that are 1 at one token.
class SnapshotMechanism {
public:
    /// Throws Error where impliedMap() does.
    explicit SnapshotMechanism(const Snapshot& snapshot);
    const Mechanism& operator*() const { return *m_mechanism; }
    const Mechanism* operator->() const { return m_mechanism.get(); }
    ParameterStore& parameters() { return m_parameters; }

private:
    ParameterStore m_parameters{0};
    std::unique_ptr<Mechanism> m_mechanism;
};

/// The sizes that the snapshot's mechanism was made for.
AttentionSizes sizesOf(const Snapshot& snapshot);

/// One sample's heads of a layer's q or k, [S,H,T,D] of a snapshot, as a mechanism takes them, [1,T,H,D].
Tensor headsOf(Arena& arena, const Snapshot& snapshot, const std::vector<float>& values, int sample);

/// The map M [T,T] that a mechanism implies, o = M·v: a mechanism is linear in its values, so that column j of M
/// is what it makes of the values that are 1 at token j and 0 elsewhere. D columns take one pass. Throws Error where
/// it is not linear, where the snapshot lacks some of the mechanism's parameters (its run was logged by an older
/// version), and above kLongestImplied tokens, where M alone would take 256 MB.
Matrix impliedMap(const Snapshot& snapshot, int layer, int head, int sample);

inline constexpr std::int64_t kLongestImplied = 8192;

}  // namespace linscope
