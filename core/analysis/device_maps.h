#pragma once

#include <cstdint>
#include <string>

#include "core/analysis/maps.h"

namespace linscope {

class Arena;

/// Why cuda::attentionMap() does not compute this map, a clause; empty where it does. On a device there are the exact
/// map of every head, Linformer's compressed, lifted and difference map from its projections, and the lifted and
/// difference map that any mechanism implies (core/analysis/implied_map.h) whose forward() has a form there.
std::string deviceMapAbsence(const Snapshot& snapshot, const MapRequest& request);

/// The answer of attentionMap() without values, for a map that deviceMapAbsence() has nothing against. Throws Error as
/// mapOutline() does.
AttentionMap deviceMapOutline(const Snapshot& snapshot, const MapRequest& request);

/// Numbers of a band, a panel, or one of a mechanism's inputs at a time: 16 MB.
inline constexpr std::int64_t kDeviceMapNumbers = std::int64_t{1} << 22;

namespace cuda {

/// The values of attentionMap(snapshot, request) into `map`, of deviceMapOutline()'s sides, on the device of the arena,
/// in its context's stream and precision: P and P̄ by mapTile(), L = P̄F and L − P by one product more, and an implied
/// map by forward() on unit values, as many columns at a time as `numbers` allow, but D at least. The arena lends the
/// memory for what lies between. A map that is pooled is never there whole: it comes by bands of rows, or an implied
/// one by panels of columns, of up to `numbers`. Throws Error as attentionMap() does.
void attentionMap(Arena& arena, const Snapshot& snapshot, const MapRequest& request, float* map,
                  std::int64_t numbers = kDeviceMapNumbers);

}  // namespace cuda
}  // namespace linscope
