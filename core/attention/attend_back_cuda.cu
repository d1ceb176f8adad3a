#include "core/attention/attend_call.cuh"

namespace linscope::cuda {
namespace {

/// How tall and broad bfloat16's tiles are here; two products of scores and up to two sums have to fit into registers,
/// and the left factors where they are narrow. Tried on an H200.
template <typename Arithmetic, int W>
using BackwardTiles = typename Arithmetic::template Tiles<W <= 64 ? 2 : 1, W == 64 ? 32 : 16,
                                                          W == 32   ? 8
                                                          : W == 64 ? 2
                                                                    : 4>;
/// Blocks that are to share a multiprocessor.
template <typename Tiles, int W>
constexpr int kResident = Tiles::kStages == 1 ? (W == 128                 ? 1
                                                 : Tiles::kThreads == 256 ? 2
                                                                          : 3)
                                              : 2;

/// What the backward pass wants of a query beside its rows, [B,H,T].
struct QueryTerms {
    float lse;         ///< +∞ where the query sees no key, which makes its weights 0
    float minusDelta;  ///< −Σ o·dO
};

/// Eight threads for each row.
template <typename From>
__global__ void termsKernel(const From* o, const From* dO, const float* lse, int queries, int heads, int width,
                            QueryTerms* terms, int count) {
    waitForEarlier();
    const int own = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y), row = min(own, count - 1);
    const float sum =
        dotOfRow(o + static_cast<std::int64_t>(row) * width, dO + static_cast<std::int64_t>(row) * width, width);
    if (threadIdx.x != 0 || own >= count) return;
    const int h = row % heads, token = row / heads;  // row = (b·T + t)·H + h
    const std::int64_t at = (static_cast<std::int64_t>(token / queries) * heads + h) * queries + token % queries;
    terms[at] = {lse[at] == -INFINITY ? INFINITY : lse[at], -sum};
}

template <typename From>
void startTerms(const Variable& o, const Tensor& lse, QueryTerms* terms) {
    const int count = static_cast<int>(o.value().elements() / o.shape()[3]);
    launch(streamOf(o), "attend, backwards", {blocksFor(count, kRowsOfBlock), dim3(kRowLanes, kRowsOfBlock)},
           termsKernel<From>, o.value().onDeviceAs<From>(), o.gradient().onDeviceAs<From>(), lse.onDeviceAs<float>(),
           static_cast<int>(o.shape()[1]), static_cast<int>(o.shape()[2]), static_cast<int>(o.shape()[3]), terms,
           count);
}

/// From a score and dL/d(weight) − delta the weight, and in its place dL/d(score) (Dao et al. 2022, Algorithm 4).
__device__ inline void weightAndGradient(float factor, float lse, float& s, float& dp) {
    s = powerOfTwo(fmaf(s, factor, -lse));
    dp *= s;
}

/// What gradients of scores are times at the end. 0 for an only key, whose weight is 1 whatever the score: the
/// difference would be rounding alone.
template <typename Call>
__device__ float liveOf(const Call& call) {
    return call.keys > 1 ? 1.0f : 0.0f;
}

/// Parts of dK and dV: the queries are shared out among so many blocks where there are few keys.
struct KeyParts {
    int tiles;          ///< of kLoaded queries, for each part
    std::int64_t size;  ///< of one part's gradient
};

/// Two tall tiles, and two broad ones as often as they are held.
template <typename Tiles, int W>
constexpr int kBackwardSize = 2 * kTallSize<Tiles, W> + 2 * kHeld<Tiles>* kBroadSize<Tiles, W>;
/// Bytes of a tile of scores in single precision behind them.
template <typename Tiles>
constexpr int kScoresStride = Tiles::kBroad + 4;
template <typename Tiles>
constexpr std::size_t kScoresBytes = sizeof(float) * Tiles::kTall* kScoresStride<Tiles>;

/// A block of keys of one head: dK and dV, over the queries of its part that see them. Rows of its tiles of scores are
/// keys. Blocks: tall tiles of keys, heads, parts.
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads, kResident<Tiles, W>)
    keysBackwardKernel(AttendCall<typename Tiles::Number> call, const typename Tiles::Number* dO,
                       const QueryTerms* terms, KeyParts parts, Out dk, Out dv) {
    waitForEarlier();
    using Number = typename Tiles::Number;
    extern __shared__ float shared[];
    __shared__ __align__(16) QueryTerms held[kHeld<Tiles> * Tiles::kBroad];
    Number *k = reinterpret_cast<Number*>(shared), *v = k + kTallSize<Tiles, W>, *q = v + kTallSize<Tiles, W>,
           *d = q + kHeld<Tiles> * kBroadSize<Tiles, W>;
    auto* p = reinterpret_cast<float*>(d + kHeld<Tiles> * kBroadSize<Tiles, W>);
    const Place place = placeOf<Tiles>(call);
    const auto [b, h, key] = place;
    const int count = min(Tiles::kTall, call.keys - key), part = static_cast<int>(blockIdx.z);
    const float* keep = call.keepAt(b, key);
    const QueryTerms* termsOfHead = terms + static_cast<std::int64_t>(blockIdx.y) * call.queries;
    loadTile<Tiles, W, Tiles::kTall>(k, call.k + call.keyAt(b, h, key), call.stride(), count, call.width, keep);
    loadTile<Tiles, W, Tiles::kTall>(v, call.v + call.keyAt(b, h, key), call.stride(), count, call.width, keep);
    finishLoads<Tiles>();
    __syncthreads();
    const auto ownK = Tiles::template taken<W>(k), ownV = Tiles::template taken<W>(v);
    float gradientK[Tiles::kRows][Tiles::template kWide<W>] = {},
                                                  gradientV[Tiles::kRows][Tiles::template kWide<W>] = {};
    const auto load = [&](int row, int tile) {
        const int rows = min(kLoaded<Tiles>, call.queries - row), at = static_cast<int>(threadIdx.x);
        const std::int64_t queryAt = call.queryAt(place.b, place.h, row);
        loadTile<Tiles, W, kLoaded<Tiles>>(q + tile * kBroadSize<Tiles, W>, call.q + queryAt, call.stride(), rows,
                                           call.width);
        loadTile<Tiles, W, kLoaded<Tiles>>(d + tile * kBroadSize<Tiles, W>, dO + queryAt, call.stride(), rows,
                                           call.width);
        if (at < kLoaded<Tiles>)
            held[tile * Tiles::kBroad + at] = at < rows ? termsOfHead[row + at] : QueryTerms{INFINITY, 0.0f};
    };
    const auto compute = [&]<bool Plain>(int row, int tile, std::bool_constant<Plain>) {
        const Number *queries = q + tile * kBroadSize<Tiles, W>, *gradients = d + tile * kBroadSize<Tiles, W>;
        QueryTerms own[Tiles::kColumns];
        float s[Tiles::kRows][Tiles::kColumns] = {}, dp[Tiles::kRows][Tiles::kColumns];
#pragma unroll
        for (int j = 0; j < Tiles::kColumns; ++j) own[j] = held[tile * Tiles::kBroad + Tiles::column(j)];
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j) dp[i][j] = own[j].minusDelta;
        Tiles::template rowsByRows<W>(ownK, queries, s);
        Tiles::template rowsByRows<W>(ownV, gradients, dp);
        const float factor = placeScores<Tiles, Plain>(call, place, place.begin, row, true, s);
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j) weightAndGradient(factor, own[j].lse, s[i][j], dp[i][j]);
        Tiles::template ownScoresByRows<W>(s, p, gradients, gradientV);
        Tiles::template ownScoresByRows<W>(dp, p, queries, gradientK);
    };
    const auto plain = [&](int row) { return call.plain(row, kLoaded<Tiles>, place.begin, Tiles::kTall); };
    overTiles<Tiles>(max(call.firstQuery(key, Tiles::kBroad), part * parts.tiles * kLoaded<Tiles>),
                     min(call.lastQuery(key, Tiles::kTall), (part + 1) * parts.tiles * kLoaded<Tiles>), load, plain,
                     compute);
    const std::int64_t at = part * parts.size + call.keyAt(b, h, key);
    storeRows<Tiles, W>(dk, at, call.stride(), count, call.width, call.scale * liveOf(call), gradientK);
    storeRows<Tiles, W>(dv, at, call.stride(), count, call.width, 1.0f, gradientV);
}

/// Adds a tile of dL/d(score) to the buckets of its distances: each diagonal by one thread, then each bucket by one.
template <typename Tiles, typename Call>
__device__ void addToBuckets(const Call& call, const float* p, int row, int key, float* diagonals, float* buckets) {
    constexpr int kDiagonals = Tiles::kTall + Tiles::kBroad - 1;
    for (int diagonal = static_cast<int>(threadIdx.x); diagonal < kDiagonals; diagonal += Tiles::kThreads) {
        const int offset = diagonal - (Tiles::kTall - 1);  // column − row within the tile
        float sum = 0;
        for (int i = max(0, -offset); i < min(Tiles::kTall, Tiles::kBroad - offset); ++i)
            sum += p[i * kScoresStride<Tiles> + i + offset];
        diagonals[diagonal] = sum;
    }
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < kBuckets)
        for (int i = 0; i < kDiagonals; ++i)
            if (call.bucket(key - row + i - (Tiles::kTall - 1)) == static_cast<int>(threadIdx.x))
                buckets[static_cast<int>(threadIdx.x)] += diagonals[i];
}

/// A block of queries of one head: dQ, and its share of the bias' gradient [B,H,tiles,kBuckets] where that is wanted.
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads, kResident<Tiles, W>)
    queriesBackwardKernel(AttendCall<typename Tiles::Number> call, const typename Tiles::Number* dO,
                          const QueryTerms* terms, Out dq, float* biasShares) {
    waitForEarlier();
    using Number = typename Tiles::Number;
    extern __shared__ float shared[];
    __shared__ float diagonals[Tiles::kTall + Tiles::kBroad], buckets[kBuckets];
    Number *q = reinterpret_cast<Number*>(shared), *d = q + kTallSize<Tiles, W>, *k = d + kTallSize<Tiles, W>,
           *v = k + kHeld<Tiles> * kBroadSize<Tiles, W>;
    auto* p = reinterpret_cast<float*>(v + kHeld<Tiles> * kBroadSize<Tiles, W>);
    const Place place = placeOf<Tiles>(call);
    const auto [b, h, row] = place;
    const int rows = min(Tiles::kTall, call.queries - row);
    loadTile<Tiles, W, Tiles::kTall>(q, call.q + call.queryAt(b, h, row), call.stride(), rows, call.width);
    loadTile<Tiles, W, Tiles::kTall>(d, dO + call.queryAt(b, h, row), call.stride(), rows, call.width);
    if (static_cast<int>(threadIdx.x) < kBuckets) buckets[static_cast<int>(threadIdx.x)] = 0;
    finishLoads<Tiles>();
    __syncthreads();
    const auto ownQ = Tiles::template taken<W>(q), ownD = Tiles::template taken<W>(d);
    float gradient[Tiles::kRows][Tiles::template kWide<W>] = {};
    QueryTerms own[Tiles::kRows];
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i)
        own[i] = Tiles::row(i) < rows
                     ? terms[static_cast<std::int64_t>(blockIdx.y) * call.queries + row + Tiles::row(i)]
                     : QueryTerms{INFINITY, 0.0f};
    const auto load = [&](int key, int tile) {
        const int count = min(kLoaded<Tiles>, call.keys - key);
        const float* keep = call.keepAt(place.b, key);
        const std::int64_t at = call.keyAt(place.b, place.h, key);
        loadTile<Tiles, W, kLoaded<Tiles>>(k + tile * kBroadSize<Tiles, W>, call.k + at, call.stride(), count,
                                           call.width, keep);
        loadTile<Tiles, W, kLoaded<Tiles>>(v + tile * kBroadSize<Tiles, W>, call.v + at, call.stride(), count,
                                           call.width, keep);
    };
    const auto compute = [&]<bool Plain>(int key, int tile, std::bool_constant<Plain>) {
        const Number *keys = k + tile * kBroadSize<Tiles, W>, *values = v + tile * kBroadSize<Tiles, W>;
        float s[Tiles::kRows][Tiles::kColumns] = {}, dp[Tiles::kRows][Tiles::kColumns];
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j) dp[i][j] = own[i].minusDelta;
        Tiles::template rowsByRows<W>(ownQ, keys, s);
        Tiles::template rowsByRows<W>(ownD, values, dp);
        const float factor = placeScores<Tiles, Plain>(call, place, place.begin, key, false, s);
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j) weightAndGradient(factor, own[i].lse, s[i][j], dp[i][j]);
        Tiles::template ownScoresByRows<W>(dp, p, keys, gradient);
        if (Plain || biasShares == nullptr) return;  // there is no bias where scores are plain
        __syncthreads();
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j)
                p[Tiles::row(i) * kScoresStride<Tiles> + Tiles::column(j)] = dp[i][j];
        __syncthreads();
        addToBuckets<Tiles>(call, p, place.begin, key, diagonals, buckets);
    };
    const auto plain = [&](int key) { return call.plain(place.begin, Tiles::kTall, key, kLoaded<Tiles>); };
    overTiles<Tiles>(call.firstKey(row, Tiles::kBroad), call.lastKey(row, Tiles::kTall), load, plain, compute);
    storeRows<Tiles, W>(dq, call.queryAt(b, h, row), call.stride(), rows, call.width, call.scale * liveOf(call),
                        gradient);
    if (biasShares != nullptr && static_cast<int>(threadIdx.x) < kBuckets)
        biasShares[(static_cast<std::int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * kBuckets +
                   static_cast<int>(threadIdx.x)] = liveOf(call) * buckets[static_cast<int>(threadIdx.x)];
}

/// bias' gradient [H,kBuckets] from the shares of samples and tiles, in order.
void sumBias(cudaStream_t stream, const Out& out, const float* shares, std::int64_t batch, std::int64_t heads,
             std::int64_t tiles) {
    forEach(stream, heads * kBuckets, "attend, bias", [=] __device__(std::int64_t i) {
        const std::int64_t h = i / kBuckets;
        float sum = 0;
        for (std::int64_t b = 0; b < batch; ++b)
            for (std::int64_t tile = 0; tile < tiles; ++tile)
                sum += shares[((b * heads + h) * tiles + tile) * kBuckets + i % kBuckets];
        out.put(i, sum);
    });
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

/// Where gradients go.
struct Gradients {
    Out k, v, q, bias;  // in the order in which they are written
};

template <typename Tiles, int W>
void keysBackward(const AttendCall<typename Tiles::Number>& call, const Variable& k, const Gradients& gradients,
                  const typename Tiles::Number* dO, const QueryTerms* terms) {
    DeviceContext& context = contextOf(k);
    Arena& arena = k.tape().arena();
    const auto heads = static_cast<unsigned>(k.shape()[0] * call.heads);
    const unsigned keyTiles = blocksFor(call.keys, Tiles::kTall), queryTiles = blocksFor(call.queries, kLoaded<Tiles>);
    // So many parts that every multiprocessor has two blocks.
    const unsigned wanted = blocksFor(2 * context.processors(), keyTiles * heads);
    const unsigned tiles = blocksFor(queryTiles, std::clamp(wanted, 1u, queryTiles));
    const unsigned count = blocksFor(queryTiles, tiles);
    const KeyParts parts{static_cast<int>(tiles), k.value().elements()};
    const auto partsOf = [&](const Out& out) {
        if (count == 1 || out.data == nullptr) return out;
        return Out{arena.tensor({count, parts.size}).onDeviceAs<float>()};
    };
    const Out toK = partsOf(gradients.k), toV = partsOf(gradients.v);
    const std::size_t bytes = kBackwardSize<Tiles, W> * sizeof(typename Tiles::Number);
    startTiles<Tiles>(keysBackwardKernel<Tiles, W>, "attend, backwards", dim3(keyTiles, heads, count),
                      bytes + (Tiles::kStages == 1 ? kScoresBytes<Tiles> : 0), context.stream(), call, dO, terms, parts,
                      toK, toV);
    if (count == 1) return;
    sumParts(context.stream(), toK.data, count, parts.size, gradients.k);
    sumParts(context.stream(), toV.data, count, parts.size, gradients.v);
}

template <typename Tiles, int W>
void queriesBackward(const AttendCall<typename Tiles::Number>& call, const Variable& q, const Gradients& gradients,
                     const typename Tiles::Number* dO, const QueryTerms* terms) {
    const bool biased = gradients.bias.data != nullptr;
    if (gradients.q.data == nullptr && !biased) return;
    const std::int64_t batch = q.shape()[0], heads = q.shape()[2], tiles = blocksFor(call.queries, Tiles::kTall);
    float* shares = biased ? q.tape().arena().tensor({batch, heads, tiles, kBuckets}).onDeviceAs<float>() : nullptr;
    const std::size_t bytes = kBackwardSize<Tiles, W> * sizeof(typename Tiles::Number);
    startTiles<Tiles>(queriesBackwardKernel<Tiles, W>, "attend, backwards",
                      dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(batch * heads)),
                      bytes + (Tiles::kStages == 1 || biased ? kScoresBytes<Tiles> : 0), streamOf(q), call, dO, terms,
                      gradients.q, shares);
    if (biased) sumBias(streamOf(q), gradients.bias, shares, batch, heads, tiles);
}

}  // namespace

void attendBackward(const Variable& q, const Variable& k, const Variable& v, const AttendOptions& options,
                    const Variable& o, const Tensor& lse) {
    Arena& arena = q.tape().arena();
    const Gradients gradients{outOf(k), outOf(v), outOf(q), outOf(options.bias)};
    const Arena::Scratch scratch(arena);  // the rest: parts of k's and v's gradients are as large as many of them
    auto* terms = reinterpret_cast<QueryTerms*>(arena.tensor({lse.elements(), 2}).onDeviceAs<float>());
    if (o.type() == DType::BF16)
        startTerms<Bf16>(o, lse, terms);
    else
        startTerms<float>(o, lse, terms);
    withTiles(contextOf(q), static_cast<int>(q.shape()[3]), [&]<typename Arithmetic, int W>() {
        using Tiles = BackwardTiles<Arithmetic, W>;
        using Number = typename Tiles::Number;
        const auto call = attendCallOf<Number>(q, k, v, options, lse);
        const Number* dO = nullptr;
        if constexpr (std::is_same_v<Number, float>)
            dO = o.gradient().onDeviceAs<float>();
        else
            dO = rounded(arena, o.gradient()).template onDeviceAs<Bf16>();
        if (gradients.k.data != nullptr || gradients.v.data != nullptr)
            keysBackward<Tiles, W>(call, k, gradients, dO, terms);
        queriesBackward<Tiles, W>(call, q, gradients, dO, terms);
    });
}

}  // namespace linscope::cuda
