#include "core/analysis/device_maps.h"

#include <fmt/format.h>

#include "core/analysis/implied_map.h"
#include "core/analysis/softmax_rows.h"

namespace linscope {

std::string deviceMapAbsence(const Snapshot& snapshot, const MapRequest& request) {
    if (request.kind == MapKind::Exact) return {};
    const MechanismInfo& info = findMechanism(snapshot.mechanism);
    const bool own = request.kind == MapKind::Compressed;
    if (!own)
        if (const std::string reason = noTokenMap(snapshot); !reason.empty())
            return fmt::format("\"{}\" has no token map: {}", info.name, reason);
    if (!hasMap(snapshot, request.kind)) return fmt::format("\"{}\" has no {} map", info.name, mapName(request.kind));
    if (own || info.liftedMap != nullptr) {
        const Projection* e = snapshot.projection("E", request.layer, request.head);
        const Projection* f = own ? e : snapshot.projection("F", request.layer, request.head);
        const bool fit = e != nullptr && f != nullptr && e->length >= snapshot.length && f->length >= snapshot.length &&
                         e->slots == f->slots;
        return fit ? "" : fmt::format("\"{}\" has no projections of {} tokens here", info.name, snapshot.length);
    }
    if (snapshot.length > kLongestImplied)
        return fmt::format("more than {} tokens are too many for the map that \"{}\" implies", kLongestImplied,
                           info.name);
    if (info.cudaForm == nullptr) return fmt::format("\"{}\" has no form on the device", info.name);
    if (!info.cudaForm(snapshot.options, sizesOf(snapshot)))
        return fmt::format("\"{}\" has no form on the device with these options: {}", info.name, info.cudaForms);
    return {};
}

AttentionMap deviceMapOutline(const Snapshot& snapshot, const MapRequest& request) {
    AttentionMap map = mapOutline(snapshot, request);
    const bool own = request.kind == MapKind::Compressed;
    const std::int64_t cols =
        own ? headView(snapshot, request.layer, request.head, request.sample).e->slots : snapshot.length;
    setSides(map, snapshot.length, cols, request.maxSide);
    return map;
}

}  // namespace linscope
