#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "core/attention/attention_sizes.h"
#include "core/nn/parameters.h"
#include "core/tensor/arena.h"

namespace linscope {

/// How tokens are hashed and cut into chunks.
struct LshSizes {
    std::int64_t rounds = 1, buckets = 2, chunk = 1;
    bool causal = false;
    bool unturn = false;  ///< x comes turned by rotary position, which is undone before hashing

    /// Up to kUnfactored buckets are one hash; more of them, when a multiple of 4, are pairs of two hashes with
    /// even numbers of buckets as near one another as there are, so that about √buckets directions do instead of
    /// buckets/2. The second number is 1 when there is one hash.
    static constexpr std::int64_t kUnfactored = 64;
    std::pair<std::int64_t, std::int64_t> factors() const;
    /// Random directions a round: half as many as there are buckets, for each factor.
    std::int64_t directions() const;
};

/// Who may attend to whom, by chunks. A token sees the tokens whose chunk is its own or the one before:
/// chunk(i) − chunk(j) ∈ {0, 1}. Bidirectional: the kept tokens, sorted by bucket and then place, are cut every
/// `chunk` tokens (Kitaev et al. 2020, §2, eq. 5). Causal: each bucket is cut on its own, from its first token on.
/// Numbers of chunks that are no neighbours differ by more than 1; padding has −1 and no place in `order`.
struct LshChunks {
    Tensor chunk;  ///< [B,H,rounds,T] I32
    Tensor order;  ///< [B,H,rounds,T] I32: the kept tokens, sorted
    Tensor kept;   ///< [B] I32: how many there are
    std::int64_t rounds = 1, length = 1;
    bool causal = false;
    /// On a device alone, where padding is sorted behind the kept tokens as −1 and `kept` is absent: the place of each
    /// token in `order`.
    Tensor place{};

    const std::int32_t* chunkOf(std::int64_t head, std::int64_t round) const {
        return chunk.as<std::int32_t>() + (head * rounds + round) * length;
    }
    const std::int32_t* orderOf(std::int64_t head, std::int64_t round) const {
        return order.as<std::int32_t>() + (head * rounds + round) * length;
    }
    /// In how many rounds token i of head b·H + h sees token j; a token does not see itself here.
    std::int32_t meetings(std::int64_t head, std::int64_t i, std::int64_t j) const {
        if (i == j || (causal && j > i)) return 0;
        std::int32_t count = 0;
        for (std::int64_t r = 0; r < rounds; ++r) {
            const std::int32_t own = chunkOf(head, r)[i], other = chunkOf(head, r)[j];
            if (own >= 0 && other >= 0 && (own - other == 0 || own - other == 1)) ++count;
        }
        return count;
    }
};

/// Hashes x [B,T,H,D] with b = argmax[xR; −xR] (Andoni et al. 2015), R = rotations [H,rounds,D,directions], and
/// cuts into chunks. In double precision from single-precision rotations, whatever the type of x, so that a model
/// hashes the same in both precisions. No gradient passes.
LshChunks hashIntoChunks(Arena& arena, const Tensor& x, std::span<const float> keep, const Parameter& rotations,
                         const LshSizes& sizes);

// The same on a CUDA device; the function above comes here with tensors of one.
namespace cuda {
LshChunks hashIntoChunks(Arena& arena, const Tensor& x, std::span<const float> keep, const Parameter& rotations,
                         const LshSizes& sizes);
}  // namespace cuda

}  // namespace linscope
