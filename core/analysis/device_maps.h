#pragma once

#include <string>

#include "core/analysis/maps.h"

namespace linscope {

class Arena;

/// Why cuda::attentionMap() does not compute this map, a clause; empty where it does. On a device there are the exact
/// map where scores are products of queries and keys alone, and Linformer's compressed, lifted and difference map from
/// its projections, of up to request.maxSide tokens: nothing is pooled.
std::string deviceMapAbsence(const Snapshot& snapshot, const MapRequest& request);

namespace cuda {

/// The values of attentionMap(snapshot, request) into `map` [T,T], or [T,K] of the compressed one, on the device of the
/// arena, in its context's stream and in single precision: P and P̄ by mapTile(), L = P̄F and L − P by one product more.
/// The arena lends the memory for what lies between.
void attentionMap(Arena& arena, const Snapshot& snapshot, const MapRequest& request, float* map);

}  // namespace cuda
}  // namespace linscope
