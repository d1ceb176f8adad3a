#pragma once

#include "core/attention/feature_call.cuh"

namespace linscope::cuda {

// Feature attention in bfloat16 by walks over the chunks of a head with the state in registers, so that of a causal
// sequence no state but those between the parts of a long one ever reaches memory. All four passes are one walk:
//
//     out_i = Σ_j (left_i·right_j + delta)·weight_ij·values_j
//
// over the tokens j up to i, with the weights e^(c_j − top_i) of keys for queries, or backwards from i on, with
// weights of queries for keys. Within a chunk by its pairs, of what came before by the state Σ_j right_jᵀ·values_j;
// where every token sees all, by the state alone.

enum class WalkOf : std::uint8_t {
    Output,         ///< o from φ(q), φ(k) and v; divided by Σ_j φ(q_i)·φ(k_j)·weight_ij, which is kept
    QueryFeatures,  ///< dL/dφ(q) from g, v and φ(k); delta is the row's
    KeyFeatures,    ///< backwards, dL/dφ(k) from v, g and φ(q); delta is the column's
    Values,         ///< backwards, dv from φ(k), φ(q) and g; delta is 0
};

/// Numbers by tokens [B,T,H,D], or by heads [B,H,T,M].
struct TokenRows {
    const Bf16* numbers;
    bool tokens;
    __device__ const Bf16* at(const FeatureSizes& s, int bh, int t) const {
        return numbers + (tokens ? s.tokenAt(bh, t) : s.rowAt(bh, t) * s.features);
    }
    __device__ int stride(const FeatureSizes& s) const {
        return static_cast<int>(tokens ? s.stride() : static_cast<std::int64_t>(s.features));
    }
};

struct Walk {
    TokenRows left, right, values;
    int inner, width;          ///< numbers of a row of left and right, and of values and out
    const float* delta;        ///< [B,H,T]
    const float *state, *sum;  ///< [B,H,parts,M,D], [B,H,parts,M]: where parts but the first begin
    const float* keep;         ///< [B,T] or null: gradients of these keys' features alone
    Out out;
    bool tokens;  ///< out is by tokens
    __device__ std::int64_t at(const FeatureSizes& s, int bh, int t) const {
        return tokens ? s.tokenAt(bh, t) : s.rowAt(bh, t) * s.features;
    }
};

/// The widest rows that a walk has room for.
inline constexpr int kMostWalked = 128;

void walkChunks(DeviceContext& context, const FeatureCall<Bf16>& call, WalkOf of, const Walk& walk);

}  // namespace linscope::cuda
