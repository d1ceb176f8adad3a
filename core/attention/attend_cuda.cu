#include <algorithm>

#include "core/attention/attend.h"
#include "core/attention/position.h"
#include "core/attention/tiles.cuh"

namespace linscope::cuda {
namespace {

constexpr int kMostHeads = 256;
constexpr int kFarthest = 128;  // distances beyond it share a bucket
constexpr int kBuckets = static_cast<int>(kRelativeBuckets);

/// Everything that the kernels of one call share, by value. The arrays are of fixed size, so that nothing has to be
/// copied to the device.
struct Call {
    const float *q, *k, *v;  // [B,T,H,D], [B,S,H,D]
    const float* keep;       // [B,S] or null
    const float* bias;       // [H,kBuckets] or null
    const float* lse;        // [B,H,T]
    int queries, keys, heads, width;
    float scale;
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
    __device__ int bucket(int distance) const { return buckets[min(max(distance, -kFarthest), kFarthest) + kFarthest]; }
    /// A pair's score from its dot product; −∞ where the query does not see the key.
    __device__ float score(float dot, int b, int h, int query, int key) const {
        bool seen = (query < queries) & (key < keys) & !(causal & (key > query)) &
                    !((window > 0) & (abs(query - key) >= window));
        if (keep != nullptr) seen = seen && keep[b * keys + key] != 0.0f;
        float score = dot * scale - slopes[h] * static_cast<float>(abs(key - query));
        if (bias != nullptr) score += bias[h * kBuckets + bucket(key - query)];
        return seen ? score : -INFINITY;
    }
    /// Whether every query of the tile sees every key of the tile, by its dot product alone.
    __device__ bool plain(int row, int key) const {
        return !shaped && row + kTile <= queries && key + kTile <= keys && !(causal && key + kTile - 1 > row);
    }
    /// Keys that the queries [row, row + kTile) may see, in whole tiles; and queries that may see the keys.
    __device__ int firstKey(int row) const { return window > 0 ? max(0, row - window + 1) / kTile * kTile : 0; }
    __device__ int lastKey(int row) const {
        int last = keys;
        if (causal) last = min(last, row + kTile);
        if (window > 0) last = min(last, row + kTile - 1 + window);
        return last;
    }
    __device__ int firstQuery(int key) const {
        int first = 0;
        if (causal) first = key;
        if (window > 0) first = max(first, key - window + 1);
        return first / kTile * kTile;
    }
    __device__ int lastQuery(int key) const { return window > 0 ? min(queries, key + kTile - 1 + window) : queries; }
};

struct Place {
    int b, h, begin;
};
__device__ Place placeOf(const Call& call) {
    const int head = static_cast<int>(blockIdx.y);
    return {head / call.heads, head % call.heads, static_cast<int>(blockIdx.x) * kTile};
}

/// The scores of a tile from its dot products; `transposed`: rows are keys and columns are queries.
template <typename Tiles>
__device__ void placeScores(const Call& call, const Place& place, int row, int key, bool transposed,
                            float (&s)[Tiles::kRows][Tiles::kColumns]) {
    const bool plain = call.plain(row, key);
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
        for (int j = 0; j < Tiles::kColumns; ++j)
            if (plain)
                s[i][j] *= call.scale;
            else
                s[i][j] = call.score(s[i][j], place.b, place.h, row + (transposed ? Tiles::column(j) : Tiles::row(i)),
                                     key + (transposed ? Tiles::row(i) : Tiles::column(j)));
}

template <int W>
constexpr int kForwardFloats = 2 * kTileSize<W> + std::max(kTileSize<W>, kScoreSize);

/// A block of queries of one head: o and lse, with a running maximum and sum (Dao et al. 2022, Algorithm 1).
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads) forwardKernel(Call call, float* o, float* lse) {
    extern __shared__ float shared[];
    float *q = shared, *v = q + kTileSize<W>, *k = v + kTileSize<W>;
    const Place place = placeOf(call);
    const auto [b, h, row] = place;
    const int rows = min(kTile, call.queries - row);
    loadTile<Tiles, W>(q, call.q + call.queryAt(b, h, row), call.stride(), rows, call.width);
    float out[Tiles::kRows][Tiles::template kWide<W>] = {}, greatest[Tiles::kRows], sum[Tiles::kRows] = {};
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) greatest[i] = -INFINITY;
    for (int key = call.firstKey(row); key < call.lastKey(row); key += kTile) {
        const int count = min(kTile, call.keys - key);
        const float* keep = call.keep == nullptr ? nullptr : call.keep + b * call.keys + key;
        __syncthreads();
        loadTile<Tiles, W>(k, call.k + call.keyAt(b, h, key), call.stride(), count, call.width, keep);
        loadTile<Tiles, W>(v, call.v + call.keyAt(b, h, key), call.stride(), count, call.width, keep);
        __syncthreads();
        float s[Tiles::kRows][Tiles::kColumns] = {};
        Tiles::template rowsByRows<W>(q, k, s);
        placeScores<Tiles>(call, place, row, key, false, s);
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i) {
            float top = greatest[i], part = 0;
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j) top = fmaxf(top, s[i][j]);
            top = Tiles::rowMax(top);
            const float base = top == -INFINITY ? 0.0f : top, shrink = power(greatest[i] - base);
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j) {
                s[i][j] = power(s[i][j] - base);
                part += s[i][j];
            }
            sum[i] = sum[i] * shrink + Tiles::rowSum(part);
            greatest[i] = top;
#pragma unroll
            for (int c = 0; c < Tiles::template kWide<W>; ++c) out[i][c] *= shrink;
        }
        Tiles::template ownScoresByRows<W>(s, k, v, out);  // weights take the keys' place
    }
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) {
        const float factor = sum[i] > 0.0f ? 1.0f / sum[i] : 0.0f;
#pragma unroll
        for (int c = 0; c < Tiles::template kWide<W>; ++c) out[i][c] *= factor;
        const int at = Tiles::row(i);
        if (Tiles::leads() && at < rows)
            lse[static_cast<std::int64_t>(blockIdx.y) * call.queries + row + at] =
                sum[i] > 0.0f ? greatest[i] + logf(sum[i]) : -INFINITY;
    }
    storeRows<Tiles, W>({o}, call.queryAt(b, h, row), call.stride(), rows, call.width, 1.0f, out);
}

/// delta [B,H,T] = Σ o·dO of each row: a warp for each.
__global__ void deltaKernel(Call call, const float* o, const float* dO, float* delta, int count) {
    const int row = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);  // (b·T + t)·H + h
    if (row >= count) return;
    float sum = 0;
    for (int d = static_cast<int>(threadIdx.x); d < call.width; d += kWarp) {
        const std::int64_t at = static_cast<std::int64_t>(row) * call.width + d;
        sum += o[at] * dO[at];
    }
    sum = warpSum(sum);
    const int h = row % call.heads, token = row / call.heads;
    if (threadIdx.x == 0)
        delta[(static_cast<std::int64_t>(token / call.queries) * call.heads + h) * call.queries +
              token % call.queries] = sum;
}

/// From a score and dL/d(weight) the weight, and in its place dL/d(score) (Dao et al. 2022, Algorithm 4). lse is +∞ for
/// queries without a key, which makes both 0.
__device__ inline void weightAndGradient(float lse, float delta, float& s, float& dp) {
    s = power(s - lse);
    dp = s * (dp - delta);
}

/// What gradients of scores are times at the end. 0 for an only key, whose weight is 1 whatever the score: the
/// difference would be rounding alone.
__device__ inline float liveOf(const Call& call) {
    return call.keys > 1 ? 1.0f : 0.0f;
}

__device__ inline float finiteLse(float lse) {
    return lse == -INFINITY ? INFINITY : lse;
}

/// Parts of dK and dV: the queries are shared out among so many blocks where there are few keys.
struct KeyParts {
    int tiles;          ///< of queries, for each part
    std::int64_t size;  ///< of one part's gradient
};

template <int W>
constexpr int kBackwardFloats = 4 * kTileSize<W> + kScoreSize;

/// A block of keys of one head: dK and dV, over the queries of its part that see them. Rows of its tiles of scores are
/// keys. Blocks: tiles of keys, heads, parts.
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads)
    keysBackwardKernel(Call call, const float* dO, const float* delta, KeyParts parts, Out dk, Out dv) {
    extern __shared__ float shared[];
    __shared__ float lses[kTile], deltas[kTile];
    float *k = shared, *v = k + kTileSize<W>, *q = v + kTileSize<W>, *d = q + kTileSize<W>, *p = d + kTileSize<W>;
    const Place place = placeOf(call);
    const auto [b, h, key] = place;
    const int count = min(kTile, call.keys - key), part = static_cast<int>(blockIdx.z);
    const float* keep = call.keep == nullptr ? nullptr : call.keep + b * call.keys + key;
    const std::int64_t rowsAt = static_cast<std::int64_t>(blockIdx.y) * call.queries;
    loadTile<Tiles, W>(k, call.k + call.keyAt(b, h, key), call.stride(), count, call.width, keep);
    loadTile<Tiles, W>(v, call.v + call.keyAt(b, h, key), call.stride(), count, call.width, keep);
    float gradientK[Tiles::kRows][Tiles::template kWide<W>] = {},
                                                  gradientV[Tiles::kRows][Tiles::template kWide<W>] = {};
    const int first = max(call.firstQuery(key), part * parts.tiles * kTile),
              last = min(call.lastQuery(key), (part + 1) * parts.tiles * kTile);
    for (int row = first; row < last; row += kTile) {
        const int rows = min(kTile, call.queries - row);
        __syncthreads();
        loadTile<Tiles, W>(q, call.q + call.queryAt(b, h, row), call.stride(), rows, call.width);
        loadTile<Tiles, W>(d, dO + call.queryAt(b, h, row), call.stride(), rows, call.width);
        if (threadIdx.x < kTile) {
            const int at = static_cast<int>(threadIdx.x);
            lses[at] = at < rows ? finiteLse(call.lse[rowsAt + row + at]) : INFINITY;
            deltas[at] = at < rows ? delta[rowsAt + row + at] : 0.0f;
        }
        __syncthreads();
        float s[Tiles::kRows][Tiles::kColumns] = {}, dp[Tiles::kRows][Tiles::kColumns] = {};
        Tiles::template rowsByRows<W>(k, q, s);
        Tiles::template rowsByRows<W>(v, d, dp);
        placeScores<Tiles>(call, place, row, key, true, s);
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j)
                weightAndGradient(lses[Tiles::column(j)], deltas[Tiles::column(j)], s[i][j], dp[i][j]);
        Tiles::template ownScoresByRows<W>(s, p, d, gradientV);
        Tiles::template ownScoresByRows<W>(dp, p, q, gradientK);
    }
    const std::int64_t at = part * parts.size + call.keyAt(b, h, key);
    storeRows<Tiles, W>(dk, at, call.stride(), count, call.width, call.scale * liveOf(call), gradientK);
    storeRows<Tiles, W>(dv, at, call.stride(), count, call.width, 1.0f, gradientV);
}

/// Adds a tile of dL/d(score) to the buckets of its distances: each diagonal by one thread, then each bucket by one.
__device__ void addToBuckets(const Call& call, const float* p, int row, int key, float* diagonals, float* buckets) {
    int diagonal = static_cast<int>(threadIdx.x);
    for (; diagonal < 2 * kTile - 1; diagonal += static_cast<int>(blockDim.x)) {
        const int offset = diagonal - (kTile - 1);  // column − row within the tile
        float sum = 0;
        for (int i = max(0, -offset); i < min(kTile, kTile - offset); ++i) sum += p[i * kScoreStride + i + offset];
        diagonals[diagonal] = sum;
    }
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < kBuckets)
        for (int i = 0; i < 2 * kTile - 1; ++i)
            if (call.bucket(key - row + i - (kTile - 1)) == static_cast<int>(threadIdx.x))
                buckets[static_cast<int>(threadIdx.x)] += diagonals[i];
}

/// A block of queries of one head: dQ, and its share of the bias' gradient [B,H,tiles,kBuckets] where that is wanted.
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads)
    queriesBackwardKernel(Call call, const float* dO, const float* delta, Out dq, float* biasShares) {
    extern __shared__ float shared[];
    __shared__ float diagonals[2 * kTile], buckets[kBuckets];
    float *k = shared, *v = k + kTileSize<W>, *q = v + kTileSize<W>, *d = q + kTileSize<W>, *p = d + kTileSize<W>;
    const Place place = placeOf(call);
    const auto [b, h, row] = place;
    const int rows = min(kTile, call.queries - row);
    loadTile<Tiles, W>(q, call.q + call.queryAt(b, h, row), call.stride(), rows, call.width);
    loadTile<Tiles, W>(d, dO + call.queryAt(b, h, row), call.stride(), rows, call.width);
    if (static_cast<int>(threadIdx.x) < kBuckets) buckets[static_cast<int>(threadIdx.x)] = 0;
    float gradient[Tiles::kRows][Tiles::template kWide<W>] = {};
    float lse[Tiles::kRows], deltas[Tiles::kRows];
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) {
        const std::int64_t at = static_cast<std::int64_t>(blockIdx.y) * call.queries + row + Tiles::row(i);
        lse[i] = Tiles::row(i) < rows ? finiteLse(call.lse[at]) : INFINITY;
        deltas[i] = Tiles::row(i) < rows ? delta[at] : 0.0f;
    }
    for (int key = call.firstKey(row); key < call.lastKey(row); key += kTile) {
        const int count = min(kTile, call.keys - key);
        const float* keep = call.keep == nullptr ? nullptr : call.keep + b * call.keys + key;
        __syncthreads();
        loadTile<Tiles, W>(k, call.k + call.keyAt(b, h, key), call.stride(), count, call.width, keep);
        loadTile<Tiles, W>(v, call.v + call.keyAt(b, h, key), call.stride(), count, call.width, keep);
        __syncthreads();
        float s[Tiles::kRows][Tiles::kColumns] = {}, dp[Tiles::kRows][Tiles::kColumns] = {};
        Tiles::template rowsByRows<W>(q, k, s);
        Tiles::template rowsByRows<W>(d, v, dp);
        placeScores<Tiles>(call, place, row, key, false, s);
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j) weightAndGradient(lse[i], deltas[i], s[i][j], dp[i][j]);
        Tiles::template ownScoresByRows<W>(dp, p, k, gradient);
        if (biasShares == nullptr) continue;
        __syncthreads();
        storeScores<Tiles>(p, dp);
        __syncthreads();
        addToBuckets(call, p, row, key, diagonals, buckets);
    }
    storeRows<Tiles, W>(dq, call.queryAt(b, h, row), call.stride(), rows, call.width, call.scale * liveOf(call),
                        gradient);
    if (biasShares != nullptr && static_cast<int>(threadIdx.x) < kBuckets)
        biasShares[(static_cast<std::int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * kBuckets +
                   static_cast<int>(threadIdx.x)] = liveOf(call) * buckets[static_cast<int>(threadIdx.x)];
}

/// bias' gradient [H,kBuckets] from the shares of samples and tiles, in order.
void sumBias(const Variable& bias, const float* shares, std::int64_t batch, std::int64_t heads, std::int64_t tiles) {
    const Out out = outOf(bias);
    forEach(streamOf(bias), heads * kBuckets, "attend, bias", [=] __device__(std::int64_t i) {
        const std::int64_t h = i / kBuckets;
        float sum = 0;
        for (std::int64_t b = 0; b < batch; ++b)
            for (std::int64_t tile = 0; tile < tiles; ++tile)
                sum += shares[((b * heads + h) * tiles + tile) * kBuckets + i % kBuckets];
        out.put(i, sum);
    });
}

Call callOf(const Variable& q, const Variable& k, const Variable& v, const AttendOptions& options, const Tensor& lse) {
    Call call{};
    call.q = q.value().onDeviceAs<float>();
    call.k = k.value().onDeviceAs<float>();
    call.v = v.value().onDeviceAs<float>();
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

/// out (+)= Σ of the parts [P, size], in order.
void sumParts(cudaStream_t stream, const float* parts, std::int64_t count, std::int64_t size, const Out& out) {
    if (out.data == nullptr) return;
    forEach(stream, size, "attend, parts", [=] __device__(std::int64_t i) {
        float sum = 0;
        for (std::int64_t part = 0; part < count; ++part) sum += parts[part * size + i];
        out.put(i, sum);
    });
}

void keysBackward(const Call& call, const Variable& k, const Variable& v, const float* dO, const float* delta) {
    DeviceContext& context = contextOf(k);
    Arena& arena = k.tape().arena();
    const auto heads = static_cast<unsigned>(k.shape()[0] * call.heads);
    const unsigned keyTiles = blocksFor(call.keys, kTile), queryTiles = blocksFor(call.queries, kTile);
    // So many parts that every multiprocessor has two blocks.
    const unsigned wanted = blocksFor(2 * context.processors(), keyTiles * heads);
    const unsigned tiles = blocksFor(queryTiles, std::clamp(wanted, 1u, queryTiles));
    const unsigned count = blocksFor(queryTiles, tiles);
    const KeyParts parts{static_cast<int>(tiles), k.value().elements()};
    Out dk = outOf(k), dv = outOf(v);
    const dim3 blocks(keyTiles, heads, count);
    if (count == 1) {
        LINSCOPE_START_TILES(context, call.width, keysBackwardKernel, kBackwardFloats, blocks, call, dO, delta, parts,
                             dk, dv);
        return;
    }
    const auto scratch = [&](const Out& out) {
        return out.data == nullptr ? Out{} : Out{arena.tensor({count, parts.size}).onDeviceAs<float>()};
    };
    const Out partsK = scratch(dk), partsV = scratch(dv);
    LINSCOPE_START_TILES(context, call.width, keysBackwardKernel, kBackwardFloats, blocks, call, dO, delta, parts,
                         partsK, partsV);
    sumParts(context.stream(), partsK.data, count, parts.size, dk);
    sumParts(context.stream(), partsV.data, count, parts.size, dv);
}

void backward(const Variable& q, const Variable& k, const Variable& v, const AttendOptions& options, const Variable& o,
              const Tensor& lse) {
    const Call call = callOf(q, k, v, options, lse);
    Arena& arena = q.tape().arena();
    cudaStream_t stream = streamOf(q);
    const std::int64_t batch = q.shape()[0], heads = q.shape()[2];
    const int count = static_cast<int>(batch * q.shape()[1] * heads);
    const float* dO = o.gradient().onDeviceAs<float>();
    float* delta = arena.tensor(lse.shape()).onDeviceAs<float>();
    deltaKernel<<<blocksFor(count, 8), dim3(kWarp, 8), 0, stream>>>(call, o.value().onDeviceAs<float>(), dO, delta,
                                                                    count);
    checkLaunch("attend, backwards");
    const auto grid = [&](int rows) { return dim3(blocksFor(rows, kTile), static_cast<unsigned>(batch * heads)); };
    if (k.needsGradient() || v.needsGradient()) keysBackward(call, k, v, dO, delta);
    const bool biased = options.bias && options.bias.needsGradient();
    if (!q.needsGradient() && !biased) return;
    const std::int64_t tiles = blocksFor(call.queries, kTile);
    float* shares = biased ? arena.tensor({batch, heads, tiles, kBuckets}).onDeviceAs<float>() : nullptr;
    const Out dq = outOf(q);
    LINSCOPE_START_TILES(contextOf(q), call.width, queriesBackwardKernel, kBackwardFloats, grid(call.queries), call, dO,
                         delta, dq, shares);
    if (biased) sumBias(options.bias, shares, batch, heads, tiles);
}

}  // namespace

Variable attend(const Variable& q, const Variable& k, const Variable& v, const AttendOptions& options) {
    Tape& tape = q.tape();
    const Variable o = options.bias ? tape.result(q.shape(), q.type(), q, k, v, options.bias)
                                    : tape.result(q.shape(), q.type(), q, k, v);
    const Tensor lse = tape.arena().tensor({q.shape()[0], q.shape()[2], q.shape()[1]});
    const Call call = callOf(q, k, v, options, lse);
    const dim3 grid(blocksFor(call.queries, kTile), static_cast<unsigned>(q.shape()[0] * q.shape()[2]));
    LINSCOPE_START_TILES(contextOf(q), call.width, forwardKernel, kForwardFloats, grid, call,
                         o.value().onDeviceAs<float>(), lse.onDeviceAs<float>());
    tape.record(o, [=] { backward(q, k, v, options, o, lse); });
    return o;
}

}  // namespace linscope::cuda
