#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "core/attention/single_tiles.cuh"

// Softmax attention of queries to lists of keys, all lists in one softmax, by tiles with a running maximum and sum
// (as attend_cuda.cu), for mechanisms whose queries see something else than a sequence. Which key of which list a
// query sees is a plan's to say. A plan is a ListCall with
//     static constexpr int kLists;
//     bool seen(int list, int bh, int query, int key)     whether the query sees the key, keep aside
//     float added(int list, int bh, int query, int key)   what is added to its score
//     int2 keys(int list, int row), queries(int list, int key)
//         a range beyond which nobody of the 64 rows, or keys, from there on sees, or is seen.
// In single precision whatever the context's.

namespace linscope::cuda {

struct KeyList {
    const float *k = nullptr, *v = nullptr;  // [B,S,H,D]
    const float* keep = nullptr;             // [B,S] or null
    int count = 0;                           // S
};

template <int Lists>
struct ListCall {
    static constexpr int kLists = Lists;
    static constexpr bool kOrdered = false;  ///< whether the bits of o may depend on a row's keys and their order alone
    const float* q = nullptr;                // [B,T,H,D]
    int batch = 0, length = 0, heads = 0, width = 0;
    float scale = 1;
    float live = 1;  ///< what gradients of scores are times: 0 for an only key, whose weight is 1 whatever the score
    KeyList lists[Lists];

    __device__ std::int64_t stride() const { return static_cast<std::int64_t>(heads) * width; }
    /// Where row `row` of head `bh` (b·H + h) begins in a tensor [B,count,H,D].
    __device__ std::int64_t rowAt(int bh, int count, int row) const {
        return (static_cast<std::int64_t>(bh / heads) * count + row) * stride() + bh % heads * width;
    }
    __device__ const float* keepOf(int list, int bh) const {
        const KeyList& of = lists[list];
        return of.keep == nullptr ? nullptr : of.keep + static_cast<std::int64_t>(bh / heads) * of.count;
    }
    __device__ float added(int, int, int, int) const { return 0.0f; }
};

/// A pair's score from its dot product; −∞ where the query does not see the key.
template <typename Plan>
__device__ float listScore(const Plan& plan, int list, int bh, float dot, int query, int key) {
    if (query >= plan.length || key >= plan.lists[list].count || !plan.seen(list, bh, query, key)) return -INFINITY;
    const float* keep = plan.keepOf(list, bh);
    if (keep != nullptr && keep[key] == 0.0f) return -INFINITY;
    return dot * plan.scale + plan.added(list, bh, query, key);
}

/// A tile of keys, or of values, from `key` on; zeros where a key is not kept.
template <int W, typename Plan>
__device__ void loadKeys(const Plan& plan, int list, int bh, int key, const float* from, float* tile) {
    const KeyList& of = plan.lists[list];
    const float* keep = plan.keepOf(list, bh);
    loadSingle<W>(tile, from + plan.rowAt(bh, of.count, key), plan.stride(), min(kTile, of.count - key), plan.width,
                  keep == nullptr ? nullptr : keep + key);
}

/// The greatest score of this thread's rows over all keys. Where it is known beforehand, sums and outputs are one chain
/// over the keys in their order, to which hidden ones add 0, and where a tile begins is nowhere in the result.
template <int W, typename Plan>
__device__ void greatestScores(const Plan& plan, int bh, int row, const float* q, float* k,
                               float (&greatest)[ExactTiles::kRows]) {
    using Tiles = ExactTiles;
    for (int list = 0; list < Plan::kLists; ++list) {
        const int2 range = plan.keys(list, row);
        for (int key = range.x; key < min(range.y, plan.lists[list].count); key += kTile) {
            __syncthreads();
            loadKeys<W>(plan, list, bh, key, plan.lists[list].k, k);
            __syncthreads();
            float s[Tiles::kRows][Tiles::kColumns] = {};
            Tiles::rowsByRows<W>(q, k, s);
#pragma unroll
            for (int i = 0; i < Tiles::kRows; ++i) {
                float top = greatest[i];
#pragma unroll
                for (int j = 0; j < Tiles::kColumns; ++j)
                    top = fmaxf(top, listScore(plan, list, bh, s[i][j], row + Tiles::row(i), key + Tiles::column(j)));
                greatest[i] = Tiles::rowMax(top);
            }
        }
    }
}

template <int W>
constexpr int kListForwardFloats = 2 * kTileSize<W> + std::max(kTileSize<W>, kSingleScoreSize);

/// o [B,T,H,D] and lse [B,H,T]. Blocks: tiles of queries, heads.
template <typename Plan, int W>
__global__ void __launch_bounds__(ExactTiles::kThreads) listForwardKernel(Plan plan, float* o, float* lse) {
    waitForEarlier();
    using Tiles = ExactTiles;
    extern __shared__ float shared[];
    float *q = shared, *v = q + kTileSize<W>, *k = v + kTileSize<W>;
    const int row = static_cast<int>(blockIdx.x) * kTile, bh = static_cast<int>(blockIdx.y),
              rows = min(kTile, plan.length - row);
    const std::int64_t at = plan.rowAt(bh, plan.length, row);
    loadSingle<W>(q, plan.q + at, plan.stride(), rows, plan.width);
    float out[Tiles::kRows][Tiles::kWide<W>] = {}, greatest[Tiles::kRows], sum[Tiles::kRows] = {};
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) greatest[i] = -INFINITY;
    if constexpr (Plan::kOrdered) greatestScores<W>(plan, bh, row, q, k, greatest);
    for (int list = 0; list < Plan::kLists; ++list) {
        const int2 range = plan.keys(list, row);
        for (int key = range.x; key < min(range.y, plan.lists[list].count); key += kTile) {
            __syncthreads();
            loadKeys<W>(plan, list, bh, key, plan.lists[list].k, k);
            loadKeys<W>(plan, list, bh, key, plan.lists[list].v, v);
            __syncthreads();
            float s[Tiles::kRows][Tiles::kColumns] = {};
            Tiles::rowsByRows<W>(q, k, s);
#pragma unroll
            for (int i = 0; i < Tiles::kRows; ++i) {
                float top = greatest[i], part = 0;
#pragma unroll
                for (int j = 0; j < Tiles::kColumns; ++j) {
                    s[i][j] = listScore(plan, list, bh, s[i][j], row + Tiles::row(i), key + Tiles::column(j));
                    top = fmaxf(top, s[i][j]);
                }
                top = Tiles::rowMax(top);
                const float base = top == -INFINITY ? 0.0f : top, shrink = power(greatest[i] - base);
#pragma unroll
                for (int j = 0; j < Tiles::kColumns; ++j) {
                    s[i][j] = power(s[i][j] - base);
                    part += s[i][j];
                }
                if constexpr (!Plan::kOrdered) sum[i] = sum[i] * shrink + Tiles::rowSum(part);
                greatest[i] = top;
#pragma unroll
                for (int c = 0; c < Tiles::kWide<W>; ++c) out[i][c] *= shrink;
            }
            Tiles::ownScoresByRows<W>(s, k, v, out);  // weights take the keys' place
            if constexpr (Plan::kOrdered)
#pragma unroll
                for (int i = 0; i < Tiles::kRows; ++i)
                    for (int j = 0; j < kTile; ++j) sum[i] += k[Tiles::row(i) * kSingleScoreStride + j];
        }
    }
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) {
        const float factor = sum[i] > 0.0f ? 1.0f / sum[i] : 0.0f;
#pragma unroll
        for (int c = 0; c < Tiles::kWide<W>; ++c) out[i][c] *= factor;
        if (Tiles::leads() && Tiles::row(i) < rows)
            lse[static_cast<std::int64_t>(bh) * plan.length + row + Tiles::row(i)] =
                sum[i] > 0.0f ? greatest[i] + logf(sum[i]) : -INFINITY;
    }
    storeRows<Tiles, W>({o}, at, plan.stride(), rows, plan.width, 1.0f, out);
}

/// What both backward kernels read: dL/do, and of each row [B,H,T] the logarithm of its sum and Σ o·do.
struct ListUpstream {
    const float *dO, *lse, *delta;
    /// +∞ for rows without a key, whose weights come out as 0.
    __device__ float lseOf(std::int64_t row) const { return lse[row] == -INFINITY ? INFINITY : lse[row]; }
};

template <int W>
constexpr int kListBackwardFloats = 4 * kTileSize<W> + kSingleScoreSize;

/// dk and dv of a list. Rows of its tiles of scores are keys. Blocks: tiles of keys, heads.
template <typename Plan, int W>
__global__ void __launch_bounds__(ExactTiles::kThreads)
    listKeysKernel(Plan plan, int list, ListUpstream up, Out dk, Out dv) {
    waitForEarlier();
    using Tiles = ExactTiles;
    extern __shared__ float shared[];
    __shared__ float lses[kTile], deltas[kTile];
    float *k = shared, *v = k + kTileSize<W>, *q = v + kTileSize<W>, *d = q + kTileSize<W>, *p = d + kTileSize<W>;
    const int key = static_cast<int>(blockIdx.x) * kTile, bh = static_cast<int>(blockIdx.y);
    const KeyList& of = plan.lists[list];
    loadKeys<W>(plan, list, bh, key, of.k, k);
    loadKeys<W>(plan, list, bh, key, of.v, v);
    float gradientK[Tiles::kRows][Tiles::kWide<W>] = {}, gradientV[Tiles::kRows][Tiles::kWide<W>] = {};
    const int2 range = plan.queries(list, key);
    for (int row = range.x; row < min(range.y, plan.length); row += kTile) {
        const int rows = min(kTile, plan.length - row);
        const std::int64_t at = plan.rowAt(bh, plan.length, row);
        __syncthreads();
        loadSingle<W>(q, plan.q + at, plan.stride(), rows, plan.width);
        loadSingle<W>(d, up.dO + at, plan.stride(), rows, plan.width);
        if (threadIdx.x < kTile) {
            const int own = static_cast<int>(threadIdx.x);
            const std::int64_t place = static_cast<std::int64_t>(bh) * plan.length + row + own;
            lses[own] = own < rows ? up.lseOf(place) : INFINITY;
            deltas[own] = own < rows ? up.delta[place] : 0.0f;
        }
        __syncthreads();
        float s[Tiles::kRows][Tiles::kColumns] = {}, dp[Tiles::kRows][Tiles::kColumns] = {};
        Tiles::rowsByRows<W>(k, q, s);
        Tiles::rowsByRows<W>(v, d, dp);
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j) {
                const int query = Tiles::column(j);
                s[i][j] = power(listScore(plan, list, bh, s[i][j], row + query, key + Tiles::row(i)) - lses[query]);
                dp[i][j] = s[i][j] * (dp[i][j] - deltas[query]);
            }
        Tiles::ownScoresByRows<W>(s, p, d, gradientV);
        Tiles::ownScoresByRows<W>(dp, p, q, gradientK);
    }
    const std::int64_t at = plan.rowAt(bh, of.count, key);
    const int count = min(kTile, of.count - key);
    storeRows<Tiles, W>(dk, at, plan.stride(), count, plan.width, plan.scale * plan.live, gradientK);
    storeRows<Tiles, W>(dv, at, plan.stride(), count, plan.width, 1.0f, gradientV);
}

/// dq. Blocks: tiles of queries, heads.
template <typename Plan, int W>
__global__ void __launch_bounds__(ExactTiles::kThreads) listQueriesKernel(Plan plan, ListUpstream up, Out dq) {
    waitForEarlier();
    using Tiles = ExactTiles;
    extern __shared__ float shared[];
    float *k = shared, *v = k + kTileSize<W>, *q = v + kTileSize<W>, *d = q + kTileSize<W>, *p = d + kTileSize<W>;
    const int row = static_cast<int>(blockIdx.x) * kTile, bh = static_cast<int>(blockIdx.y),
              rows = min(kTile, plan.length - row);
    const std::int64_t at = plan.rowAt(bh, plan.length, row);
    loadSingle<W>(q, plan.q + at, plan.stride(), rows, plan.width);
    loadSingle<W>(d, up.dO + at, plan.stride(), rows, plan.width);
    float gradient[Tiles::kRows][Tiles::kWide<W>] = {}, lse[Tiles::kRows], delta[Tiles::kRows];
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) {
        const std::int64_t place = static_cast<std::int64_t>(bh) * plan.length + row + Tiles::row(i);
        lse[i] = Tiles::row(i) < rows ? up.lseOf(place) : INFINITY;
        delta[i] = Tiles::row(i) < rows ? up.delta[place] : 0.0f;
    }
    for (int list = 0; list < Plan::kLists; ++list) {
        const int2 range = plan.keys(list, row);
        for (int key = range.x; key < min(range.y, plan.lists[list].count); key += kTile) {
            __syncthreads();
            loadKeys<W>(plan, list, bh, key, plan.lists[list].k, k);
            loadKeys<W>(plan, list, bh, key, plan.lists[list].v, v);
            __syncthreads();
            float s[Tiles::kRows][Tiles::kColumns] = {}, dp[Tiles::kRows][Tiles::kColumns] = {};
            Tiles::rowsByRows<W>(q, k, s);
            Tiles::rowsByRows<W>(d, v, dp);
#pragma unroll
            for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
                for (int j = 0; j < Tiles::kColumns; ++j) {
                    const float score = listScore(plan, list, bh, s[i][j], row + Tiles::row(i), key + Tiles::column(j));
                    dp[i][j] = power(score - lse[i]) * (dp[i][j] - delta[i]);
                }
            Tiles::ownScoresByRows<W>(dp, p, k, gradient);
        }
    }
    storeRows<Tiles, W>(dq, at, plan.stride(), rows, plan.width, plan.scale * plan.live, gradient);
}

/// delta [B,H,T] = Σ o·do of each row: a warp for each.
template <typename Plan>
__global__ void listDeltaKernel(Plan plan, const float* o, const float* dO, float* delta) {
    waitForEarlier();
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
    if (row >= static_cast<std::int64_t>(plan.batch) * plan.heads * plan.length) return;
    const std::int64_t at =
        plan.rowAt(static_cast<int>(row / plan.length), plan.length, static_cast<int>(row % plan.length));
    float sum = 0;
    for (int d = static_cast<int>(threadIdx.x); d < plan.width; d += static_cast<int>(kWarp))
        sum += o[at + d] * dO[at + d];
    sum = warpSum(sum);
    if (threadIdx.x == 0) delta[row] = sum;
}

/// Blocks for every kTile of `rows` rows of every head.
template <typename Plan>
dim3 listBlocks(const Plan& plan, int rows) {
    return dim3(blocksFor(rows, kTile), static_cast<unsigned>(plan.batch * plan.heads));
}

template <typename Plan>
void listForward(cudaStream_t stream, const Plan& plan, float* o, float* lse) {
    withWidth<ExactArithmetic>(plan.width, [&]<typename, int W>() {
        startSingle(listForwardKernel<Plan, W>, "list attention", listBlocks(plan, plan.length), kListForwardFloats<W>,
                    stream, plan, o, lse);
    });
}
template <typename Plan>
void listQueries(cudaStream_t stream, const Plan& plan, const ListUpstream& up, const Out& dq) {
    withWidth<ExactArithmetic>(plan.width, [&]<typename, int W>() {
        startSingle(listQueriesKernel<Plan, W>, "list attention, queries", listBlocks(plan, plan.length),
                    kListBackwardFloats<W>, stream, plan, up, dq);
    });
}
template <typename Plan>
void listKeys(cudaStream_t stream, const Plan& plan, int list, const ListUpstream& up, const Out& dk, const Out& dv) {
    withWidth<ExactArithmetic>(plan.width, [&]<typename, int W>() {
        startSingle(listKeysKernel<Plan, W>, "list attention, keys", listBlocks(plan, plan.lists[list].count),
                    kListBackwardFloats<W>, stream, plan, list, up, dk, dv);
    });
}
template <typename Plan>
void listDelta(cudaStream_t stream, const Plan& plan, const float* o, const float* dO, float* delta) {
    const std::int64_t rows = static_cast<std::int64_t>(plan.batch) * plan.heads * plan.length;
    launch(stream, "list attention, backwards", {blocksFor(rows, 8), dim3(kWarp, 8)}, listDeltaKernel<Plan>, plan, o,
           dO, delta);
}

/// A list's keys and values, or null.
struct ListInput {
    Variable k, v;
    const float* keep = nullptr;
};

/// o [B,T,H,D] of queries and lists, with the rest of the plan as it is given, on the tape.
template <typename Plan>
Variable attendLists(Plan plan, const Variable& q, const std::array<ListInput, Plan::kLists>& inputs) {
    const Shape& s = q.shape();
    Tape& tape = q.tape();
    plan.q = q.value().onDeviceAs<float>();
    plan.batch = static_cast<int>(s[0]);
    plan.length = static_cast<int>(s[1]);
    plan.heads = static_cast<int>(s[2]);
    plan.width = static_cast<int>(s[3]);
    plan.scale = 1.0f / std::sqrt(static_cast<float>(s[3]));
    bool needed = q.needsGradient();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (!inputs[i].k) continue;
        plan.lists[i] = {inputs[i].k.value().template onDeviceAs<float>(),
                         inputs[i].v.value().template onDeviceAs<float>(), inputs[i].keep,
                         static_cast<int>(inputs[i].k.shape()[1])};
        needed = needed || inputs[i].k.needsGradient() || inputs[i].v.needsGradient();
    }
    const Variable o = tape.make(tape.arena().tensor(s), needed);
    const Tensor lse = tape.arena().tensor({s[0], s[2], s[1]});
    listForward(streamOf(o), plan, o.value().template onDeviceAs<float>(), lse.onDeviceAs<float>());
    tape.record(o, [=] {
        cudaStream_t stream = streamOf(o);
        const float* dO = o.gradient().template onDeviceAs<float>();
        float* delta = o.tape().arena().tensor(lse.shape()).template onDeviceAs<float>();
        listDelta(stream, plan, o.value().template onDeviceAs<float>(), dO, delta);
        const ListUpstream up{dO, lse.onDeviceAs<float>(), delta};
        if (q.needsGradient()) listQueries(stream, plan, up, outOf(q));
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            const auto& [k, v, keep] = inputs[i];
            if (k && (k.needsGradient() || v.needsGradient()))
                listKeys(stream, plan, static_cast<int>(i), up, outOf(k), outOf(v));
        }
    });
    return o;
}

}  // namespace linscope::cuda
