#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "core/autograd/variable.h"

namespace linscope {

/// A sequence of T places cut into K neighbouring segments, whose sizes differ by one at most.
struct Segments {
    std::int64_t length = 1, slots = 1;  // T, K
    std::int64_t begin(std::int64_t slot) const { return slot * length / slots; }
    std::int64_t longest() const { return (length + slots - 1) / slots; }
};

/// y_brh = Σ_{j in segment r} w_h[j − begin(r)]·x_bjh: a convolution whose kernel is as long as its stride (Wang et al.
/// 2020, §4, "General projections"). x [B,n,H,D] with n ≤ T, kernels [P,S], S = segments.longest(), P = 1 for all heads
/// or H → [B,K,H,D]. Positions whose `keep` [B,n] is 0 count as zero, whatever they hold, and those from n on as well.
Variable poolSegments(const Variable& x, const Variable& kernels, const Segments& segments,
                      std::span<const float> keep = {});

/// Of each sample's segments [B,K]: how many tokens are there, and the share 1/count of each, 0 where there are none.
struct SegmentShares {
    std::span<const float> counts, shares;
};
/// In the arena of x's tape. x [B,n,...]
SegmentShares segmentShares(const Variable& x, const Segments& segments, std::span<const float> keep);

// The same on a CUDA device; the functions above come here with tensors of one, checked.
namespace cuda {
Variable poolSegments(const Variable& x, const Variable& kernels, const Segments& segments,
                      std::span<const float> keep);
SegmentShares segmentShares(const Variable& x, const Segments& segments, std::span<const float> keep);
}  // namespace cuda

}  // namespace linscope
