#pragma once

#include <cstdint>
#include <span>

#include "core/autograd/variable.h"

namespace linscope {

/// o = softmax(q·kᵀ/√D)·v per head, computed by blocks of queries and keys with a running maximum and sum
/// (online softmax: Milakov & Gimelshein 2018; Dao et al. 2022, Algorithm 1), so that the map is never
/// stored. The backward pass recomputes it from the saved row statistics.
///
/// q [B,T,H,D], k and v [B,S,H,D] → [B,T,H,D]. Keys whose `keep` [B,S] is 0 have no weight, whatever
/// they hold; empty: all are kept. A query without any key gives 0.
Variable attend(const Variable& q, const Variable& k, const Variable& v, std::span<const float> keep = {});

}  // namespace linscope
