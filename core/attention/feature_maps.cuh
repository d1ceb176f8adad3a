#pragma once

#include "core/attention/feature_map.h"
#include "core/attention/tiles.cuh"
#include "core/cuda/rounded.h"

// What the two halves of feature attention on a device share: the maps (feature_maps_cuda.cu), and the sums over
// tokens (feature_attention_cuda.cu). Features and all that is kept of a token are laid out by heads, [B,H,T,…].

namespace linscope::cuda {

inline constexpr int kMostFeatureHeads = 256;
inline constexpr float kNothing = -1e30f;  // log weight of padding: finite, so that differences are

/// The sizes of one call.
struct FeatureSizes {
    int batch, length, heads, width, features;
    __host__ __device__ std::int64_t rows() const { return static_cast<std::int64_t>(batch) * heads * length; }
    __host__ __device__ std::int64_t stride() const { return static_cast<std::int64_t>(heads) * width; }
    __host__ __device__ int chunks() const { return (length + kTile - 1) / kTile; }
    /// Where token t of head `bh` (b·H + h) begins in a tensor [B,T,H,D].
    __device__ std::int64_t tokenAt(int bh, int t) const {
        return (static_cast<std::int64_t>(bh / heads) * length + t) * stride() + bh % heads * width;
    }
    __device__ std::int64_t rowAt(int bh, int t) const { return static_cast<std::int64_t>(bh) * length + t; }
};

/// φ̃ [B,H,T,M] of queries and of keys [B,T,H,D], which have one type. Of keys also the log weights [B,H,T] with the
/// decay `slopes` counted from the chunk's start; padding has features 0 and the log weight kNothing.
struct KeyWeights {
    float* logWeights = nullptr;
    const float* keep = nullptr;  // [B,T] or null
    float slopes[kMostFeatureHeads] = {};
};
template <typename Number>
void mapForward(const FeatureRecipe& recipe, const FeatureSizes& s, const Variable& q, const Variable& k, Number* phiQ,
                Number* phiK, const KeyWeights& keys);

/// From φ̃ and dL/dφ̃ (which becomes scratch) to dL/dx; the gradients of learned projections are added to them.
template <typename Number>
void mapBackward(const FeatureRecipe& recipe, const FeatureSizes& s, const Variable& x, bool keys, const Number* phi,
                 Number* dPhi, const Out& dx);

}  // namespace linscope::cuda
