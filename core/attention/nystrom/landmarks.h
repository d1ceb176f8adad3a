#pragma once

#include <cstdint>
#include <span>

#include "core/autograd/variable.h"
#include "core/tensor/arena.h"

namespace linscope {

/// How each sample's kept tokens are shared out to landmarks. Of n kept tokens, counted in their order,
/// min(M,n) segments are made, segment s from token ⌊s·n/min(M,n)⌋ on, so that sizes differ by at most one, none is
/// empty, and a padded sequence has the segments of the same sequence alone.
struct LandmarkSegments {
    Tensor segment;  ///< [B,T] I32: the segment of each token, −1 for padding
    Tensor size;     ///< [B,M] I32: tokens of each segment; 0 past the last one
    Tensor keep;     ///< [B,M] F32: 1 where there is a segment, as attend() wants it
    std::int64_t batch() const { return size.shape()[0]; }
    std::int64_t landmarks() const { return size.shape()[1]; }
    /// On a device alone, [B,M] I32: the first token of each segment, −1 past the last one.
    Tensor first{};
    /// `keep` as attend() takes it.
    std::span<const float> kept() const;
    /// Segments that sample b has; in the processor's memory.
    std::int64_t count(std::int64_t b) const;
};
LandmarkSegments shareOut(Arena& arena, std::int64_t batch, std::int64_t length, std::int64_t landmarks,
                          std::span<const float> keep);

/// The mean of each segment; 0 where there is none. Padded tokens have no part, whatever they hold.
/// x [B,T,H,D] → [B,M,H,D]
Variable segmentMeans(const Variable& x, const LandmarkSegments& segments);

// The same on a CUDA device; the functions above come here with an arena or tensors of one.
namespace cuda {
LandmarkSegments shareOut(Arena& arena, std::int64_t batch, std::int64_t length, std::int64_t landmarks,
                          std::span<const float> keep);
Variable segmentMeans(const Variable& x, const LandmarkSegments& segments);
}  // namespace cuda

}  // namespace linscope
