#pragma once

#include <algorithm>

#include "core/attention/attend.h"
#include "core/attention/position.h"
#include "core/attention/tiles.cuh"
#include "core/cuda/rounded.h"

// What both passes of blocked softmax attention on a device share: attend_cuda.cu has the forward, attend_back_cuda.cu
// the backward one, attend_fused_cuda.cu those by a library.

namespace linscope::cuda {

class FusedAttention;

inline constexpr int kMostHeads = 256;
inline constexpr int kFarthest = 128;  // distances beyond it share a bucket
inline constexpr int kBuckets = static_cast<int>(kRelativeBuckets);
inline constexpr float kLog2e = 1.4426950408889634f;

/// Everything that the kernels of one call share, by value. The arrays are of fixed size, so that nothing has to be
/// copied to the device. Scores are in powers of two: log₂e times what the formula says, and so is lse.
template <typename Number>
struct AttendCall {
    const Number *q, *k, *v;  // [B,T,H,D], [B,S,H,D]
    const float* keep;        // [B,S] or null
    const float* bias;        // [H,kBuckets] or null
    float* lse;               // [B,H,T]
    int queries, keys, heads, width;
    float scale;  ///< 1/√D
    bool causal;
    bool shaped;  ///< scores depend on more than the dot product, or keys are hidden by more than causality
    int window;
    float slopes[kMostHeads];
    std::int8_t buckets[2 * kFarthest + 1];

    __device__ std::int64_t stride() const { return static_cast<std::int64_t>(heads) * width; }
    __device__ std::int64_t queryAt(int b, int h, int row) const {
        return (static_cast<std::int64_t>(b) * queries + row) * stride() + h * width;
    }
    __device__ std::int64_t keyAt(int b, int h, int row) const {
        return (static_cast<std::int64_t>(b) * keys + row) * stride() + h * width;
    }
    __device__ const float* keepAt(int b, int key) const { return keep == nullptr ? nullptr : keep + b * keys + key; }
    __device__ int bucket(int distance) const { return buckets[min(max(distance, -kFarthest), kFarthest) + kFarthest]; }
    /// A pair's score from its dot product; −∞ where the query does not see the key.
    __device__ float score(float dot, int b, int h, int query, int key) const {
        bool seen = (query < queries) & (key < keys) & !(causal & (key > query)) &
                    !((window > 0) & (abs(query - key) >= window));
        if (keep != nullptr) seen = seen && keep[b * keys + key] != 0.0f;
        float score = dot * scale - slopes[h] * static_cast<float>(abs(key - query));
        if (bias != nullptr) score += bias[h * kBuckets + bucket(key - query)];
        return seen ? score * kLog2e : -INFINITY;
    }
    /// Whether each of so many queries sees each of so many keys, by its dot product alone.
    __device__ bool plain(int query, int queryCount, int key, int keyCount) const {
        return !shaped && query + queryCount <= queries && key + keyCount <= keys &&
               !(causal && key + keyCount - 1 > query);
    }
    /// Keys that the queries [query, query + count) may see, from a multiple of `tile` on.
    __device__ int firstKey(int query, int tile) const {
        return window > 0 ? max(0, query - window + 1) / tile * tile : 0;
    }
    __device__ int lastKey(int query, int count) const {
        int last = keys;
        if (causal) last = min(last, query + count);
        if (window > 0) last = min(last, query + count - 1 + window);
        return last;
    }
    /// Queries that may see the keys [key, key + count).
    __device__ int firstQuery(int key, int tile) const {
        int first = 0;
        if (causal) first = key;
        if (window > 0) first = max(first, key - window + 1);
        return first / tile * tile;
    }
    __device__ int lastQuery(int key, int count) const {
        return window > 0 ? min(queries, key + count - 1 + window) : queries;
    }
};

struct Place {
    int b, h, begin;
};
/// Blocks: tall tiles, heads.
template <typename Tiles, typename Number>
__device__ Place placeOf(const AttendCall<Number>& call) {
    const int head = static_cast<int>(blockIdx.y);
    return {head / call.heads, head % call.heads, static_cast<int>(blockIdx.x) * Tiles::kTall};
}

/// The scores of a tile from its dot products, but for a factor that is left to the exponential, and returned.
/// `transposed`: rows are keys and columns are queries. `Plain`: known to be so.
template <typename Tiles, bool Plain, typename Number>
__device__ float placeScores(const AttendCall<Number>& call, const Place& place, int tall, int broad, bool transposed,
                             float (&s)[Tiles::kRows][Tiles::kColumns]) {
    if constexpr (!Plain) {
        if (!(transposed ? call.plain(broad, Tiles::kBroad, tall, Tiles::kTall)
                         : call.plain(tall, Tiles::kTall, broad, Tiles::kBroad))) {
#pragma unroll
            for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
                for (int j = 0; j < Tiles::kColumns; ++j) {
                    const int row = tall + Tiles::row(i), column = broad + Tiles::column(j);
                    s[i][j] =
                        call.score(s[i][j], place.b, place.h, transposed ? column : row, transposed ? row : column);
                }
            return 1.0f;
        }
    }
    return call.scale * kLog2e;
}

template <typename Number>
AttendCall<Number> attendCallOf(const Variable& q, const Variable& k, const Variable& v, const AttendOptions& options,
                                const Tensor& lse) {
    AttendCall<Number> call{};
    call.q = numbersOf<Number>(q);
    call.k = numbersOf<Number>(k);
    call.v = numbersOf<Number>(v);
    call.keep = options.keep.empty() ? nullptr : options.keep.data();
    call.bias = options.bias ? options.bias.value().onDeviceAs<float>() : nullptr;
    call.lse = lse.onDeviceAs<float>();
    call.queries = static_cast<int>(q.shape()[1]);
    call.keys = static_cast<int>(k.shape()[1]);
    call.heads = static_cast<int>(q.shape()[2]);
    call.width = static_cast<int>(q.shape()[3]);
    call.scale = 1.0f / std::sqrt(static_cast<float>(call.width));
    call.causal = options.causal;
    call.shaped = !options.keep.empty() || !options.slopes.empty() || options.bias || options.window > 0;
    call.window = static_cast<int>(std::min<std::int64_t>(options.window, 1 << 30));
    for (std::size_t h = 0; h < options.slopes.size(); ++h) call.slopes[h] = static_cast<float>(options.slopes[h]);
    for (int d = -kFarthest; d <= kFarthest; ++d)
        call.buckets[d + kFarthest] = static_cast<std::int8_t>(relativeBucket(d, options.causal));
    return call;
}

/// What computes attend() of these by cuDNN's kernels; null where that has none for it, or is not there.
const FusedAttention* fusedAttentionFor(const Variable& q, const Variable& k, const Variable& v,
                                        const AttendOptions& options);
Variable attendFused(const FusedAttention& fused, const Variable& q, const Variable& k, const Variable& v);

/// The gradients of attend() from o's.
void attendBackward(const Variable& q, const Variable& k, const Variable& v, const AttendOptions& options,
                    const Variable& o, const Tensor& lse);

}  // namespace linscope::cuda
