#pragma once

#include "core/attention/reformer/lsh.h"
#include "core/autograd/variable.h"

namespace linscope {

struct ChunkAttendOptions {
    std::int64_t chunk = 1;
    bool countOnce = true;                ///< a key met in several rounds has the weight of one
    std::span<const double> slopes = {};  ///< [H] adds −slope·|i − j| (ALiBi)
};

/// Attention of each token to those it meets in some round (LshChunks), keys the normalised queries:
///     o_i = Σ_j W_ij·exp(s_ij)·v_j / Σ_j W_ij·exp(s_ij),   s_ij = q_i·q_j/(‖q_j‖√D) − slope·|i − j|,
/// W_ij = 1 where they meet (countOnce) or the number of rounds in which they do. One sum over all rounds with a
/// running maximum is the same as rounds combined by a softmax of their logarithms of sums (Kitaev et al. 2020,
/// §2, eq. 7 and 8). A token that meets none gives v_i; padding gives 0.
///
/// By chunks: n·rounds·2·chunk scores, of which one chunk's are in memory. All products have one size, and a row
/// its place in it from its own past alone, so that in the causal form the future changes no bit.
/// qk, v [B,T,H,D] → [B,T,H,D]
Variable chunkAttend(const Variable& qk, const Variable& v, const LshChunks& chunks, const ChunkAttendOptions& options);

namespace cuda {
inline constexpr std::int64_t kMostChunkHeads = 256;
/// The same, all rounds beside one another, in single precision whatever the context's; chunkAttend() comes here with
/// tensors of a device.
Variable chunkAttend(const Variable& qk, const Variable& v, const LshChunks& chunks, const ChunkAttendOptions& options);
}  // namespace cuda

}  // namespace linscope
