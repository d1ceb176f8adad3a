#include "core/attention/decay_scan.h"

#include <cmath>

#include "core/attention/decay_scan.cuh"

namespace linscope::cuda {
namespace {

using Tiles = ExactTiles;

/// Where a block is: blocks are chunks, heads, and tiles of M where there are several.
struct Place {
    int chunk, bh, t, rows, first, columns;
};
__device__ Place placeOf(const ScanCall& call) {
    const int chunk = static_cast<int>(blockIdx.x), first = static_cast<int>(blockIdx.z) * kTile;
    return {chunk, static_cast<int>(blockIdx.y),     chunk * kTile, call.rowsOf(chunk),
            first, min(kTile, call.features - first)};
}
dim3 blocksOf(const ScanCall& call, bool tiled) {
    return dim3(static_cast<unsigned>(call.chunks()), static_cast<unsigned>(call.headCount()),
                tiled ? blocksFor(call.features, kTile) : 1u);
}
/// Where tile `first` of the state [B,H,N,M,D] of a chunk begins; of the one state there is, where nothing is causal.
__device__ std::int64_t stateAt(const ScanCall& call, const Place& place, int first) {
    const std::int64_t state = static_cast<std::int64_t>(place.bh) * call.chunks() + (call.causal ? place.chunk : 0);
    return (state * call.features + first) * call.width;
}
/// The weight of the state in a row: of a query from the chunk's start on, of a key to its end.
__device__ float throughState(const ScanCall& call, const Place& place, bool keys, int row) {
    if (row >= place.rows) return 0.0f;
    if (!call.causal) return keys ? 1.0f : call.scale;
    return keys ? call.decay(place.bh, place.chunk, row, place.rows - 1)
                : call.scale * call.decay(place.bh, place.chunk, -1, row);
}
/// Products a_ij times scale and decay; 0 where j > i, set and not multiplied: a product may be infinite.
__device__ void weighAndMask(const ScanCall& call, const Place& place, float (&a)[Tiles::kRows][Tiles::kColumns]) {
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
        for (int j = 0; j < Tiles::kColumns; ++j) {
            const int row = Tiles::row(i), column = Tiles::column(j);
            a[i][j] = column <= row && row < place.rows
                          ? a[i][j] * call.scale * call.decay(place.bh, place.chunk, column, row)
                          : 0.0f;
        }
}

template <int W>
constexpr int kStateFloats = kSingleScoreSize + kTileSize<W>;

/// A chunk's own sums Σ_t weight_t·a_t·y_tᵀ, weighed as the state will be: keys k·vᵀ, queries q·gᵀ.
template <int W>
__global__ void __launch_bounds__(Tiles::kThreads)
    chunkStateKernel(ScanCall call, bool keys, const float* y, float* state) {
    waitForEarlier();
    extern __shared__ float shared[];
    float *p = shared, *x = shared + kSingleScoreSize;
    const Place place = placeOf(call);
    const float* rows = (keys ? call.k : call.q) + call.tokenAt(place.bh, place.t, call.features) + place.first;
    loadSingle<kTile>(p, rows, call.stride(call.features), place.rows, place.columns);
    loadSingle<W>(x, y + call.tokenAt(place.bh, place.t, call.width), call.stride(call.width), place.rows, call.width);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kTile * W; i += Tiles::kThreads)
        x[i / W * kTileStride<W> + i % W] *= throughState(call, place, keys, i / W);
    __syncthreads();
    float own[Tiles::kRows][Tiles::kWide<W>] = {};
    Tiles::columnsByRows<W>(p, x, own);
    const std::int64_t at = static_cast<std::int64_t>(place.bh) * call.chunks() + place.chunk;
    storeRows<Tiles, W>({state}, (at * call.features + place.first) * call.width, call.width, place.columns, call.width,
                        1.0f, own);
}

/// From each chunk's own sums to those of all chunks before it (of all after it, with `backwards`), or of all chunks in
/// the first one's place.
void sumChunks(cudaStream_t stream, const ScanCall& call, bool backwards, float* states) {
    const std::int64_t size = static_cast<std::int64_t>(call.features) * call.width;
    forEach(stream, call.headCount() * size, "scan", [=] __device__(std::int64_t i) {
        const int bh = static_cast<int>(i / size), chunks = call.chunks();
        float* own = states + static_cast<std::int64_t>(bh) * chunks * size + i % size;
        float running = 0;
        for (int n = 0; n < chunks; ++n) {
            const int chunk = backwards && call.causal ? chunks - 1 - n : n;
            const float part = own[chunk * size];
            if (call.causal) own[chunk * size] = running;
            running = part + (call.causal ? running * call.decay(bh, chunk, -1, call.rowsOf(chunk) - 1) : running);
        }
        if (!call.causal) own[0] = running;
    });
}

template <int W>
constexpr int kValuesFloats = 2 * kSingleScoreSize + kTileSize<W>;

template <int W>
__global__ void __launch_bounds__(Tiles::kThreads)
    valuesKernel(ScanCall call, bool keys, const float* x, const float* state, Out out) {
    waitForEarlier();
    extern __shared__ float shared[];
    float *q = shared, *k = q + kSingleScoreSize, *y = k + kSingleScoreSize;
    const Place place = placeOf(call);
    const std::int64_t featuresAt = call.tokenAt(place.bh, place.t, call.features),
                       valuesAt = call.tokenAt(place.bh, place.t, call.width);
    float result[Tiles::kRows][Tiles::kWide<W>] = {}, a[Tiles::kRows][Tiles::kColumns] = {};
    for (int first = 0; first < call.features; first += kTile) {
        const int columns = min(kTile, call.features - first);
        __syncthreads();
        loadSingle<kTile>(q, call.q + featuresAt + first, call.stride(call.features), place.rows, columns);
        loadSingle<kTile>(k, call.k + featuresAt + first, call.stride(call.features), place.rows, columns);
        if (state != nullptr) loadSingle<W>(y, state + stateAt(call, place, first), call.width, columns, call.width);
        __syncthreads();
        if (state != nullptr) Tiles::scoresByRows<W>(keys ? k : q, y, result);
        if (call.causal) Tiles::rowsByRows<kTile>(q, k, a);
    }
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) {
        const float weight = throughState(call, place, keys, Tiles::row(i));
#pragma unroll
        for (int c = 0; c < Tiles::kWide<W>; ++c) result[i][c] *= weight;
    }
    if (call.causal) {
        weighAndMask(call, place, a);
        __syncthreads();
        storeScores<Tiles>(q, kSingleScoreStride, a);
        loadSingle<W>(y, x + valuesAt, call.stride(call.width), place.rows, call.width);
        __syncthreads();
        if (keys)
            Tiles::columnsByRows<W>(q, y, result);
        else
            Tiles::scoresByRows<W>(q, y, result);
    }
    storeRows<Tiles, W>(out, valuesAt, call.stride(call.width), place.rows, call.width, 1.0f, result);
}

template <int W>
constexpr int kFeaturesFloats = 2 * kSingleScoreSize + 2 * kTileSize<W>;

template <int W>
__global__ void __launch_bounds__(Tiles::kThreads)
    featuresKernel(ScanCall call, bool keys, const float* g, const float* v, const float* state, Out out) {
    waitForEarlier();
    extern __shared__ float shared[];
    float *p = shared, *f = p + kSingleScoreSize, *x = f + kSingleScoreSize, *y = x + kTileSize<W>;
    const Place place = placeOf(call);
    const std::int64_t featuresAt = call.tokenAt(place.bh, place.t, call.features) + place.first,
                       valuesAt = call.tokenAt(place.bh, place.t, call.width);
    loadSingle<W>(x, (keys ? v : g) + valuesAt, call.stride(call.width), place.rows, call.width);
    loadSingle<W>(y, state + stateAt(call, place, place.first), call.width, place.columns, call.width);
    __syncthreads();
    float own[Tiles::kRows][Tiles::kColumns] = {};
    Tiles::rowsByRows<W>(x, y, own);
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) {
        const float weight = throughState(call, place, keys, Tiles::row(i));
#pragma unroll
        for (int j = 0; j < Tiles::kColumns; ++j)
            if (Tiles::row(i) < place.rows && Tiles::column(j) < place.columns)
                out.put(featuresAt + Tiles::row(i) * call.stride(call.features) + Tiles::column(j), weight * own[i][j]);
    }
    if (!call.causal || v == nullptr) return;
    __syncthreads();  // the sums below go to places that other threads of the block have written
    loadSingle<W>(keys ? y : x, g + valuesAt, call.stride(call.width), place.rows, call.width);
    loadSingle<W>(keys ? x : y, v + valuesAt, call.stride(call.width), place.rows, call.width);
    loadSingle<kTile>(f, (keys ? call.q : call.k) + featuresAt, call.stride(call.features), place.rows, place.columns);
    __syncthreads();
    float da[Tiles::kRows][Tiles::kColumns] = {};
    Tiles::rowsByRows<W>(keys ? y : x, keys ? x : y, da);
    weighAndMask(call, place, da);
    storeScores<Tiles>(p, kSingleScoreStride, da);
    __syncthreads();
    float more[Tiles::kRows][Tiles::kWide<kTile>] = {};
    if (keys)
        Tiles::columnsByRows<kTile>(p, f, more);
    else
        Tiles::scoresByRows<kTile>(p, f, more);
    storeRows<Tiles, kTile>({out.data, true}, featuresAt, call.stride(call.features), place.rows, place.columns, 1.0f,
                            more);
}

float* states(DeviceContext& context, Arena& arena, const ScanCall& call, bool keys, const float* y) {
    float* all = arena.tensor({call.headCount(), call.chunks(), call.features, call.width}).onDeviceAs<float>();
    withWidth<ExactArithmetic>(call.width, [&]<typename, int W>() {
        startSingle(chunkStateKernel<W>, "states of chunks", blocksOf(call, true), kStateFloats<W>, context.stream(),
                    call, keys, y, all);
    });
    sumChunks(context.stream(), call, !keys, all);
    return all;
}

/// Everything that the backward pass needs; lives in the tape's arena.
struct Kept {
    ScanCall call;
    Variable q, k, v, o;
    const float* state;  // of the keys before each chunk
};

void backward(const Kept& kept) {
    DeviceContext& context = contextOf(kept.o);
    const ScanCall& call = kept.call;
    const float *g = kept.o.gradient().onDeviceAs<float>(), *v = kept.v.value().onDeviceAs<float>();
    if (kept.q.needsGradient()) scanFeatures(context, call, false, g, v, kept.state, outOf(kept.q));
    if (!kept.k.needsGradient() && !kept.v.needsGradient()) return;
    const float* after = states(context, kept.o.tape().arena(), call, false, g);
    if (kept.k.needsGradient()) scanFeatures(context, call, true, g, v, after, outOf(kept.k));
    if (kept.v.needsGradient()) scanValues(context, call, true, g, after, outOf(kept.v));
}

}  // namespace

void scanValues(DeviceContext& context, const ScanCall& call, bool keys, const float* x, const float* state,
                const Out& out) {
    withWidth<ExactArithmetic>(call.width, [&]<typename, int W>() {
        startSingle(valuesKernel<W>, "values of a scan", blocksOf(call, false), kValuesFloats<W>, context.stream(),
                    call, keys, x, state, out);
    });
}

void scanFeatures(DeviceContext& context, const ScanCall& call, bool keys, const float* g, const float* v,
                  const float* state, const Out& out) {
    withWidth<ExactArithmetic>(call.width, [&]<typename, int W>() {
        startSingle(featuresKernel<W>, "features of a scan", blocksOf(call, true), kFeaturesFloats<W>, context.stream(),
                    call, keys, g, v, state, out);
    });
}

Variable decayScan(const Variable& q, const Variable& k, const Variable& v, const DecayScanOptions& options) {
    const auto extent = [](const Variable& x, int axis) { return static_cast<int>(x.shape()[axis]); };
    Tape& tape = q.tape();
    const Variable o = tape.result(v.shape(), v.type(), q, k, v);
    Kept* kept = tape.arena().make<Kept>();
    kept->call = {.batch = extent(q, 0),
                  .length = extent(q, 1),
                  .heads = extent(q, 2),
                  .features = extent(q, 3),
                  .width = extent(v, 3),
                  .q = q.value().onDeviceAs<float>(),
                  .k = k.value().onDeviceAs<float>(),
                  .scale = static_cast<float>(options.scale),
                  .causal = options.causal};
    for (std::size_t h = 0; h < options.gammas.size(); ++h)
        kept->call.logs[h] = static_cast<float>(std::log2(options.gammas[h]));
    kept->q = q;
    kept->k = k;
    kept->v = v;
    kept->o = o;
    const float* values = v.value().onDeviceAs<float>();
    kept->state = states(contextOf(o), tape.arena(), kept->call, true, values);
    scanValues(contextOf(o), kept->call, false, values, kept->state, {o.value().onDeviceAs<float>()});
    tape.record(o, [kept] { backward(*kept); });
    return o;
}

}  // namespace linscope::cuda
