#pragma once

#include <Eigen/Core>
#include <vector>

namespace linscope {

/// What a DecodingState keeps its numbers in: Eigen sums in an order that depends on where a vector begins in memory,
/// and a loaded state is to go on bit for bit.
using AlignedFloats = std::vector<float, Eigen::aligned_allocator<float>>;

}  // namespace linscope
