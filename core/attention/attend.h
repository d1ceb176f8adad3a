#pragma once

#include <cstdint>
#include <span>

#include "core/autograd/variable.h"

namespace linscope {

/// Which keys a query sees, and what is added to its scores.
struct AttendOptions {
    std::span<const float> keep = {};     ///< [B,S] 0: that key has no weight, whatever it holds; empty: all are kept
    bool causal = false;                  ///< key j for query i only where j ≤ i
    std::int64_t window = 0;              ///< > 0: only where |i − j| < window
    std::span<const double> slopes = {};  ///< [H] adds −slope·|i − j| (ALiBi)
    /// Keys before that of the first query, causal only: query i stands at the place of key past + i. Not on a device.
    std::int64_t past = 0;
    Variable bias = {};  ///< [H, kRelativeBuckets] adds bias[h, relativeBucket(j − i, causal)]
};

/// o = softmax(q·kᵀ/√D + what the options add)·v per head, computed by blocks of queries and keys with a running
/// maximum and sum (online softmax: Milakov & Gimelshein 2018; Dao et al. 2022, Algorithm 1), so that the map is
/// never stored; blocks that no query sees are left out. The backward pass recomputes it from the saved row
/// statistics.
///
/// q [B,T,H,D], k and v [B,S,H,D] → [B,T,H,D]. A query without any key gives 0. What the spans refer to must
/// outlive the tape; on a device, `keep` is there.
Variable attend(const Variable& q, const Variable& k, const Variable& v, const AttendOptions& options = {});

namespace cuda {
/// The greatest head width D that the kernels below and those of the features have tiles for.
inline constexpr std::int64_t kMostHeadWidth = 128;
/// The same by tiles of 64 queries and 64 keys; attend() comes here with tensors of a device, checked.
Variable attend(const Variable& q, const Variable& k, const Variable& v, const AttendOptions& options);
}  // namespace cuda

}  // namespace linscope
