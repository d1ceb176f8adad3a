#include "core/analysis/device_maps.h"

#include <fmt/format.h>

#include "core/analysis/softmax_rows.h"

namespace linscope {

std::string deviceMapAbsence(const Snapshot& snapshot, const MapRequest& request) {
    if (snapshot.length > request.maxSide) return fmt::format("more than {} tokens are pooled", request.maxSide);
    const bool exact = request.kind == MapKind::Exact || request.kind == MapKind::Difference;
    const bool biased = snapshot.position == Position::Alibi ||
                        snapshot.projection("relative_bias", request.layer, request.head) != nullptr ||
                        snapshot.parameter("attention.relative_bias") != nullptr;
    const MechanismInfo& info = findMechanism(snapshot.mechanism);
    if (exact && biased) return "scores with a bias have no form on the device";
    if (exact && info.traits.sharedKeys) return "keys that are queries have no form on the device";
    if (request.kind == MapKind::Exact) return {};
    const Projection* e = snapshot.projection("E", request.layer, request.head);
    const Projection* f = snapshot.projection("F", request.layer, request.head);
    const bool projected = info.compressedMap != nullptr && e != nullptr && e->length >= snapshot.length &&
                           f != nullptr && f->length >= snapshot.length && f->slots == e->slots &&
                           e->slots <= request.maxSide;
    if (!projected)
        return fmt::format("the {} map of \"{}\" has no form on the device", mapName(request.kind), info.name);
    return {};
}

}  // namespace linscope
