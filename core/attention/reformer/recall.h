#pragma once

#include <cstdint>
#include <span>

namespace linscope {

/// Share of the keys that matter most that were attended: for each query the k others with the greatest scores
/// q_i·q_j/‖q_j‖ (fewer where it may see fewer), how many of them are in `attended`; the mean over all such keys of
/// all queries. 1: nothing of weight was missed. A query's own token counts in neither; ties go to the earlier key.
/// q [T,D], attended [T,T] (0: not attended), causal: only keys j < i. NaN when there is no key to be seen.
double topKeyRecall(std::span<const float> q, std::int64_t width, std::span<const std::int32_t> attended, bool causal,
                    std::int64_t k = 16);

}  // namespace linscope
