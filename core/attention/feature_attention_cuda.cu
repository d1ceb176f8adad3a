#include "core/attention/feature_attention.h"
#include "core/attention/feature_maps.cuh"

namespace linscope::cuda {
namespace {

/// What both passes know of one call, by value. Chunks are kTile tokens.
struct Call {
    FeatureSizes s;
    bool causal, rms;
    const float *phiQ, *phiK;  // [B,H,T,M]
    const float* v;            // [B,T,H,D]
    float* logWeights;         // [B,H,T] log weight c of each key, with the decay counted from its chunk's start
    float* top;                // [B,H,T] greatest log weight among the keys that a query sees
    float* divisor;            // [B,H,T] of each query's row
    float *state, *sum;        // [B,H,N,M,D], [B,H,N,M]: of the keys before each chunk; of all keys, in the first place
    float slopes[kMostFeatureHeads];

    __device__ std::int64_t stateAt(int bh, int chunk) const {
        return static_cast<std::int64_t>(bh) * s.chunks() + (causal ? chunk : 0);
    }
    /// The maximum with which the state comes into a chunk, counted from the chunk's start; and that of its last token.
    __device__ float topBefore(int bh, int chunk) const {
        if (!causal) return top[s.rowAt(bh, 0)];
        return chunk == 0 ? kNothing : top[s.rowAt(bh, chunk * kTile) - 1] - slopes[bh % s.heads] * kTile;
    }
    __device__ float topAfter(int bh, int chunk) const {
        return top[s.rowAt(bh, min(s.length, (chunk + 1) * kTile) - 1)];
    }
};

/// top: the running maximum of the log weights, or the one of all. A warp for each head.
__global__ void topKernel(Call call) {
    const int bh = static_cast<int>(blockIdx.x), lane = static_cast<int>(threadIdx.x);
    const float* c = call.logWeights + call.s.rowAt(bh, 0);
    float *top = call.top + call.s.rowAt(bh, 0), before = kNothing;
    for (int t = 0; t < call.s.length; t += static_cast<int>(kWarp)) {
        if (call.causal && t > 0 && t % kTile == 0) before -= call.slopes[bh % call.s.heads] * kTile;
        float value = t + lane < call.s.length ? c[t + lane] : kNothing;
        for (unsigned offset = 1; offset < kWarp; offset *= 2) {
            const float other = __shfl_up_sync(kAllLanes, value, offset);
            if (lane >= static_cast<int>(offset)) value = fmaxf(value, other);
        }
        value = fmaxf(value, before);
        if (t + lane < call.s.length) top[t + lane] = value;
        before = __shfl_sync(kAllLanes, value, kWarp - 1);
    }
    if (call.causal) return;
    for (int t = lane; t < call.s.length; t += static_cast<int>(kWarp)) top[t] = before;
}

/// What is summed over the tokens of a chunk: phi_tᵀ·y_t·w_t and phi_t·w_t·u_t.
struct Summand {
    const float* phi;    // [B,H,T,M]
    const float* y;      // [B,T,H,D]
    const float* delta;  // [B,H,T], or null: u = 1
    bool queries;        ///< w = e^(before − top_t); of keys e^(c_t − after)
    float *state, *sum;  // of the chunk
};

template <int W>
constexpr int kStateFloats = kScoreSize + kTileSize<W>;

/// A chunk's own sums. Blocks: chunks, heads, tiles of M.
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads) chunkStateKernel(Call call, Summand summand) {
    extern __shared__ float shared[];
    __shared__ float weights[kTile];
    float *p = shared, *y = shared + kScoreSize;
    const FeatureSizes& s = call.s;
    const int chunk = static_cast<int>(blockIdx.x), bh = static_cast<int>(blockIdx.y), t = chunk * kTile,
              first = static_cast<int>(blockIdx.z) * kTile, rows = min(kTile, s.length - t),
              columns = min(kTile, s.features - first);
    const std::int64_t rowAt = s.rowAt(bh, t);
    if (threadIdx.x < kTile) {
        const int row = static_cast<int>(threadIdx.x);
        if (row >= rows)
            weights[row] = 0.0f;
        else if (summand.queries)
            weights[row] = power(call.topBefore(bh, chunk) - call.top[rowAt + row]);
        else
            weights[row] =
                power(call.logWeights[rowAt + row] - (call.causal ? call.topAfter(bh, chunk) : call.top[rowAt]));
    }
    loadTile<Tiles, kTile>(p, summand.phi + rowAt * s.features + first, s.features, rows, columns);
    loadTile<Tiles, W>(y, summand.y + s.tokenAt(bh, t), s.stride(), rows, s.width);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kTile * kTile; i += Tiles::kThreads)
        p[i / kTile * kScoreStride + i % kTile] =
            Tiles::rounded(p[i / kTile * kScoreStride + i % kTile] * weights[i / kTile]);
    __syncthreads();
    float state[Tiles::kRows][Tiles::template kWide<W>] = {};
    Tiles::template columnsByRows<W>(p, y, state);
    const std::int64_t at = static_cast<std::int64_t>(bh) * s.chunks() + chunk;
    storeRows<Tiles, W>({summand.state}, (at * s.features + first) * s.width, s.width, columns, s.width, 1.0f, state);
    const int m = static_cast<int>(threadIdx.x);
    if (m >= columns) return;
    float sum = 0;
    for (int row = 0; row < rows; ++row)
        sum += p[row * kScoreStride + m] * (summand.delta != nullptr ? summand.delta[rowAt + row] : 1.0f);
    summand.sum[at * s.features + first + m] = sum;
}

/// From each chunk's own sums to those of all chunks before it (of all after it, with `backwards`), or of all chunks in
/// the first one's place. One thread for each number of a head's state; `size` of them.
void scan(cudaStream_t stream, const Call& call, float* numbers, std::int64_t size, bool backwards) {
    const FeatureSizes s = call.s;
    forEach(stream, static_cast<std::int64_t>(s.batch) * s.heads * size, "feature attention",
            [=] __device__(std::int64_t i) {
                const int bh = static_cast<int>(i / size), chunks = s.chunks();
                float* own = numbers + static_cast<std::int64_t>(bh) * chunks * size + i % size;
                float running = 0;
                for (int n = 0; n < chunks; ++n) {
                    const int chunk = backwards && call.causal ? chunks - 1 - n : n;
                    const float part = own[chunk * size];
                    if (!call.causal) {
                        running += part;
                        continue;
                    }
                    own[chunk * size] = running;
                    running = running * power(call.topBefore(bh, chunk) - call.topAfter(bh, chunk)) + part;
                }
                if (!call.causal) own[0] = running;
            });
}

/// a_ij·e^(c_j − top_i) of this thread's places, and 0 for keys of the future.
template <typename Tiles>
__device__ void weighAndMask(const Call& call, std::int64_t rowAt, int rows,
                             float (&a)[Tiles::kRows][Tiles::kColumns]) {
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
        for (int j = 0; j < Tiles::kColumns; ++j) {
            const int row = Tiles::row(i), column = Tiles::column(j);
            a[i][j] = column <= row && row < rows
                          ? a[i][j] * power(call.logWeights[rowAt + column] - call.top[rowAt + row])
                          : 0.0f;
        }
}

template <int W>
constexpr int kOutputFloats = 2 * kScoreSize + kTileSize<W>;

/// The rows of o of a chunk, and what they were divided by. Blocks: chunks, heads.
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads) outputKernel(Call call, float* o) {
    extern __shared__ float shared[];
    __shared__ float sums[kTile];
    float *p = shared, *k = p + kScoreSize, *x = k + kScoreSize;
    const FeatureSizes& s = call.s;
    const int chunk = static_cast<int>(blockIdx.x), bh = static_cast<int>(blockIdx.y), t = chunk * kTile,
              rows = min(kTile, s.length - t);
    const std::int64_t rowAt = s.rowAt(bh, t), stateAt = call.stateAt(bh, chunk);
    float out[Tiles::kRows][Tiles::template kWide<W>] = {}, a[Tiles::kRows][Tiles::kColumns] = {};
    float divisor[Tiles::kRows] = {};
    for (int first = 0; first < s.features; first += kTile) {
        const int columns = min(kTile, s.features - first);
        __syncthreads();
        loadTile<Tiles, kTile>(p, call.phiQ + rowAt * s.features + first, s.features, rows, columns);
        loadTile<Tiles, W>(x, call.state + (stateAt * s.features + first) * s.width, s.width, columns, s.width);
        if (call.causal) loadTile<Tiles, kTile>(k, call.phiK + rowAt * s.features + first, s.features, rows, columns);
        if (threadIdx.x < kTile)
            sums[threadIdx.x] =
                static_cast<int>(threadIdx.x) < columns ? call.sum[stateAt * s.features + first + threadIdx.x] : 0.0f;
        __syncthreads();
        Tiles::template scoresByRows<W>(p, x, out);
        if (call.causal) Tiles::template rowsByRows<kTile>(p, k, a);
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j)
                divisor[i] += p[Tiles::row(i) * kScoreStride + Tiles::column(j)] * sums[Tiles::column(j)];
    }
    if (call.causal) {
        weighAndMask<Tiles>(call, rowAt, rows, a);
        const float before = call.topBefore(bh, chunk);
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i) {
            const float fade = Tiles::row(i) < rows ? power(before - call.top[rowAt + Tiles::row(i)]) : 0.0f;
            divisor[i] *= fade;
#pragma unroll
            for (int c = 0; c < Tiles::template kWide<W>; ++c) out[i][c] *= fade;
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j) divisor[i] += a[i][j];
        }
        __syncthreads();
        loadTile<Tiles, W>(x, call.v + s.tokenAt(bh, t), s.stride(), rows, s.width);
        __syncthreads();
        Tiles::template ownScoresByRows<W>(a, p, x, out);
    }
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) {
        float by = Tiles::rowSum(divisor[i]);
        if (call.rms) {  // the greatest entry comes out first, so that no square over- or underflows
            float greatest = 0, squares = 0;
#pragma unroll
            for (int c = 0; c < Tiles::template kWide<W>; ++c) greatest = fmaxf(greatest, fabsf(out[i][c]));
            greatest = Tiles::rowMax(greatest);
            const float inverse = greatest > 0.0f ? 1.0f / greatest : 0.0f;
#pragma unroll
            for (int c = 0; c < Tiles::template kWide<W>; ++c) squares += out[i][c] * inverse * (out[i][c] * inverse);
            by = greatest * sqrtf(Tiles::rowSum(squares) / static_cast<float>(s.width));
        }
        const float inverse = by != 0.0f ? 1.0f / by : 0.0f;
#pragma unroll
        for (int c = 0; c < Tiles::template kWide<W>; ++c) out[i][c] *= inverse;
        if (Tiles::leads() && Tiles::row(i) < rows) call.divisor[rowAt + Tiles::row(i)] = by;
    }
    storeRows<Tiles, W>({o}, s.tokenAt(bh, t), s.stride(), rows, s.width, 1.0f, out);
}

/// g = dL/d(Σ_j a_ij·v_j) [B,T,H,D] and delta = dL/d(Σ_j a_ij) [B,H,T]: a warp for each row.
__global__ void rowGradientsKernel(Call call, const float* o, const float* dO, float* g, float* delta) {
    const FeatureSizes& s = call.s;
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
    if (row >= s.rows()) return;
    const std::int64_t at = s.tokenAt(static_cast<int>(row / s.length), static_cast<int>(row % s.length));
    float along = 0;
    for (int d = static_cast<int>(threadIdx.x); d < s.width; d += static_cast<int>(kWarp))
        along += o[at + d] * dO[at + d];
    along = warpSum(along);
    const float by = call.divisor[row], inverse = by != 0.0f ? 1.0f / by : 0.0f;
    for (int d = static_cast<int>(threadIdx.x); d < s.width; d += static_cast<int>(kWarp))
        g[at + d] = (call.rms ? dO[at + d] - o[at + d] * (along / static_cast<float>(s.width)) : dO[at + d]) * inverse;
    if (threadIdx.x == 0) delta[row] = call.rms ? 0.0f : -along * inverse;
}

/// What the backward kernels read beside the call.
struct Upstream {
    const float *g, *delta;    // [B,T,H,D], [B,H,T]
    const float *state, *sum;  // R and its sum: of the queries after each chunk, laid out as the call's state
};

template <int W>
constexpr int kFeatureBackFloats = 2 * kScoreSize + 2 * kTileSize<W>;

/// dL/dφ of a tile of features of a chunk's queries or keys. Blocks: chunks, heads, tiles of M.
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads)
    featuresBackKernel(Call call, Upstream up, bool keys, const float* keep, float* dPhi) {
    extern __shared__ float shared[];
    float *p = shared, *f = p + kScoreSize, *x = f + kScoreSize, *y = x + kTileSize<W>;
    const FeatureSizes& s = call.s;
    const int chunk = static_cast<int>(blockIdx.x), bh = static_cast<int>(blockIdx.y), t = chunk * kTile,
              first = static_cast<int>(blockIdx.z) * kTile, rows = min(kTile, s.length - t),
              columns = min(kTile, s.features - first);
    const std::int64_t rowAt = s.rowAt(bh, t), featureAt = call.stateAt(bh, chunk) * s.features + first;
    const float *state = keys ? up.state : call.state, *sum = keys ? up.sum : call.sum;
    // Through the state: rows of g (of v for keys) with the state's rows, faded as the token is.
    loadTile<Tiles, W>(x, (keys ? call.v : up.g) + s.tokenAt(bh, t), s.stride(), rows, s.width);
    loadTile<Tiles, W>(y, state + featureAt * s.width, s.width, columns, s.width);
    __syncthreads();
    float own[Tiles::kRows][Tiles::kColumns] = {};
    Tiles::template rowsByRows<W>(x, y, own);
    const float after = call.causal ? call.topAfter(bh, chunk) : call.top[rowAt], before = call.topBefore(bh, chunk);
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) {
        const int row = Tiles::row(i);
        if (row >= rows) continue;
        const float fade = keys ? power(call.logWeights[rowAt + row] - after) : power(before - call.top[rowAt + row]);
        const float weight = call.rms ? 0.0f : keys ? 1.0f : up.delta[rowAt + row];
#pragma unroll
        for (int j = 0; j < Tiles::kColumns; ++j) {
            const int m = Tiles::column(j);
            if (m < columns)
                dPhi[(rowAt + row) * s.features + first + m] = fade * (own[i][j] + weight * sum[featureAt + m]);
        }
    }
    if (call.causal) {  // within the chunk: da = g·vᵀ + delta, weighed and masked, with the other side's features
        __syncthreads();
        loadTile<Tiles, W>(keys ? y : x, up.g + s.tokenAt(bh, t), s.stride(), rows, s.width);
        loadTile<Tiles, W>(keys ? x : y, call.v + s.tokenAt(bh, t), s.stride(), rows, s.width);
        loadTile<Tiles, kTile>(f, (keys ? call.phiQ : call.phiK) + rowAt * s.features + first, s.features, rows,
                               columns);
        __syncthreads();
        float da[Tiles::kRows][Tiles::kColumns] = {};
        Tiles::template rowsByRows<W>(keys ? y : x, keys ? x : y, da);
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j)
                if (Tiles::row(i) < rows) da[i][j] += up.delta[rowAt + Tiles::row(i)];
        weighAndMask<Tiles>(call, rowAt, rows, da);
        storeScores<Tiles>(p, da);
        __syncthreads();
        float more[Tiles::kRows][Tiles::template kWide<kTile>] = {};
        if (keys)
            Tiles::template columnsByRows<kTile>(p, f, more);
        else
            Tiles::template scoresByRows<kTile>(p, f, more);
        storeRows<Tiles, kTile>({dPhi, true}, rowAt * s.features + first, s.features, rows, columns, 1.0f, more);
    }
    if (!keys || keep == nullptr) return;
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < rows * columns; i += Tiles::kThreads)
        if (keep[bh / s.heads * s.length + t + i / columns] == 0.0f)
            dPhi[(rowAt + i / columns) * s.features + first + i % columns] = 0.0f;
}

/// dv of a chunk. Blocks: chunks, heads.
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads) valuesBackKernel(Call call, Upstream up, Out dv) {
    extern __shared__ float shared[];
    float *q = shared, *k = q + kScoreSize, *x = k + kScoreSize;
    const FeatureSizes& s = call.s;
    const int chunk = static_cast<int>(blockIdx.x), bh = static_cast<int>(blockIdx.y), t = chunk * kTile,
              rows = min(kTile, s.length - t);
    const std::int64_t rowAt = s.rowAt(bh, t), stateAt = call.stateAt(bh, chunk);
    float out[Tiles::kRows][Tiles::template kWide<W>] = {}, a[Tiles::kRows][Tiles::kColumns] = {};
    for (int first = 0; first < s.features; first += kTile) {
        const int columns = min(kTile, s.features - first);
        __syncthreads();
        loadTile<Tiles, kTile>(k, call.phiK + rowAt * s.features + first, s.features, rows, columns);
        loadTile<Tiles, W>(x, up.state + (stateAt * s.features + first) * s.width, s.width, columns, s.width);
        if (call.causal) loadTile<Tiles, kTile>(q, call.phiQ + rowAt * s.features + first, s.features, rows, columns);
        __syncthreads();
        Tiles::template scoresByRows<W>(k, x, out);
        if (call.causal) Tiles::template rowsByRows<kTile>(q, k, a);
    }
    const float after = call.causal ? call.topAfter(bh, chunk) : call.top[rowAt];
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) {
        const float weight = Tiles::row(i) < rows ? power(call.logWeights[rowAt + Tiles::row(i)] - after) : 0.0f;
#pragma unroll
        for (int c = 0; c < Tiles::template kWide<W>; ++c) out[i][c] *= weight;
    }
    if (call.causal) {
        weighAndMask<Tiles>(call, rowAt, rows, a);
        __syncthreads();
        storeScores<Tiles>(q, a);
        loadTile<Tiles, W>(x, up.g + s.tokenAt(bh, t), s.stride(), rows, s.width);
        __syncthreads();
        Tiles::template columnsByRows<W>(q, x, out);
    }
    storeRows<Tiles, W>(dv, s.tokenAt(bh, t), s.stride(), rows, s.width, 1.0f, out);
}

/// The sums over each chunk, then over chunks.
void sumStates(DeviceContext& context, const Call& call, const Summand& summand, bool backwards) {
    const FeatureSizes& s = call.s;
    const dim3 blocks(static_cast<unsigned>(s.chunks()), static_cast<unsigned>(s.batch * s.heads),
                      blocksFor(s.features, kTile));
    LINSCOPE_START_TILES(context, s.width, chunkStateKernel, kStateFloats, blocks, call, summand);
    scan(context.stream(), call, summand.state, static_cast<std::int64_t>(s.features) * s.width, backwards);
    scan(context.stream(), call, summand.sum, s.features, backwards);
}

/// Everything that the backward pass needs; lives in the tape's arena.
struct Kept {
    Call call;
    FeatureRecipe recipe;
    Variable q, k, v, o;
    const float* keep;
};

void backward(const Kept& kept) {
    const Call& call = kept.call;
    const FeatureSizes& s = call.s;
    DeviceContext& context = contextOf(kept.o);
    Arena& arena = kept.o.tape().arena();
    const auto take = [&](const Shape& shape) { return arena.tensor(shape).onDeviceAs<float>(); };
    const std::int64_t heads = static_cast<std::int64_t>(s.batch) * s.heads, chunks = s.chunks();
    float *g = take(kept.o.shape()), *delta = take({s.rows()});
    const float *o = kept.o.value().onDeviceAs<float>(), *dO = kept.o.gradient().onDeviceAs<float>();
    rowGradientsKernel<<<blocksFor(s.rows(), 8), dim3(kWarp, 8), 0, context.stream()>>>(call, o, dO, g, delta);
    checkLaunch("feature attention, backwards");
    float *state = take({heads, chunks, s.features, s.width}), *sum = take({heads, chunks, s.features});
    sumStates(context, call, {.phi = call.phiQ, .y = g, .delta = delta, .queries = true, .state = state, .sum = sum},
              true);
    const Upstream up{g, delta, state, sum};
    const dim3 tiles(static_cast<unsigned>(chunks), static_cast<unsigned>(heads), blocksFor(s.features, kTile)),
        rows(static_cast<unsigned>(chunks), static_cast<unsigned>(heads));
    float* dPhi = take({s.rows(), s.features});
    for (const bool keys : {false, true}) {
        LINSCOPE_START_TILES(context, s.width, featuresBackKernel, kFeatureBackFloats, tiles, call, up, keys, kept.keep,
                             dPhi);
        const Variable& x = keys ? kept.k : kept.q;
        mapBackward(kept.recipe, s, x, keys, keys ? call.phiK : call.phiQ, dPhi, outOf(x));
    }
    if (!kept.v.needsGradient()) return;
    const Out dv = outOf(kept.v);
    LINSCOPE_START_TILES(context, s.width, valuesBackKernel, kOutputFloats, rows, call, up, dv);
}

}  // namespace

Variable featureAttention(const FeatureMap& map, const Variable& q, const Variable& k, const Variable& v,
                          const FeatureAttentionOptions& options) {
    Arena& arena = q.tape().arena();
    DeviceContext& context = *arena.context();
    bool learns = q.needsGradient() || k.needsGradient() || v.needsGradient();
    for (const Parameter* parameter : map.parameters()) learns = learns || parameter->trained();
    const Variable o = q.tape().make(arena.tensor(q.shape()), learns);
    Kept* kept = arena.make<Kept>();
    *kept = {.recipe = map.recipe(),
             .q = q,
             .k = k,
             .v = v,
             .o = o,
             .keep = options.keep.empty() ? nullptr : options.keep.data()};
    Call& call = kept->call;
    const auto extent = [&](int axis) { return static_cast<int>(q.shape()[axis]); };
    call.s = {extent(0), extent(1), extent(2), extent(3), static_cast<int>(map.features())};
    call.causal = options.causal;
    call.rms = options.normaliser == Normaliser::Rms;
    KeyWeights keys;
    keys.keep = kept->keep;
    for (std::size_t h = 0; h < options.slopes.size(); ++h)
        call.slopes[h] = keys.slopes[h] = static_cast<float>(options.slopes[h]);
    const FeatureSizes& s = call.s;
    const auto take = [&](const Shape& shape) { return arena.tensor(shape).onDeviceAs<float>(); };
    const std::int64_t heads = static_cast<std::int64_t>(s.batch) * s.heads, chunks = s.chunks();
    float *phiQ = take({s.rows(), s.features}), *phiK = take({s.rows(), s.features});
    call.phiQ = phiQ;
    call.phiK = phiK;
    call.v = v.value().onDeviceAs<float>();
    call.logWeights = keys.logWeights = take({s.rows()});
    call.top = take({s.rows()});
    call.divisor = take({s.rows()});
    call.state = take({heads, chunks, s.features, s.width});
    call.sum = take({heads, chunks, s.features});
    mapForward(kept->recipe, s, q, phiQ, nullptr);
    mapForward(kept->recipe, s, k, phiK, &keys);
    topKernel<<<static_cast<unsigned>(heads), kWarp, 0, context.stream()>>>(call);
    checkLaunch("feature attention");
    sumStates(context, call, {.phi = phiK, .y = call.v, .state = call.state, .sum = call.sum}, false);
    const dim3 blocks(static_cast<unsigned>(chunks), static_cast<unsigned>(heads));
    LINSCOPE_START_TILES(context, s.width, outputKernel, kOutputFloats, blocks, call, o.value().onDeviceAs<float>());
    q.tape().record(o, [kept] { backward(*kept); });
    return o;
}

}  // namespace linscope::cuda
