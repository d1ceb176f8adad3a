#include "core/attention/feature_walk.cuh"

namespace linscope::cuda {
namespace {

/// g = dL/d(Σ_j a_ij·v_j) [B,T,H,D] and delta = dL/d(Σ_j a_ij) [B,H,T]: eight threads for each row. delta is made of g
/// as it is kept: what cancels in exact arithmetic then cancels here.
template <typename Number, typename From>
__global__ void rowGradientsKernel(FeatureCall<Number> call, const From* o, const From* dO, Number* g, float* delta) {
    waitForEarlier();
    const FeatureSizes& s = call.s;
    const auto count = static_cast<int>(s.rows()), own = static_cast<int>(blockIdx.x * kRowsOfBlock + threadIdx.y),
               row = min(own, count - 1), h = row % s.heads, token = row / s.heads;  // row = (b·T + t)·H + h
    const std::int64_t at = static_cast<std::int64_t>(row) * s.width,
                       rowAt = s.rowAt(token / s.length * s.heads + h, token % s.length);
    const float along = call.rms ? dotOfRow(o + at, dO + at, s.width) / static_cast<float>(s.width) : 0.0f,
                by = call.divisor[rowAt], inverse = by != 0.0f ? 1.0f / by : 0.0f;
    const int lane = static_cast<int>(threadIdx.x);
    const auto kept = [&](float value, float gradient) {
        Number number;
        setNumber(number, (gradient - value * along) * inverse);
        return toFloat(number);
    };
    float sum = 0;
    if (own < count && s.width % 4 == 0)
        for (int d = 4 * lane; d < s.width; d += 4 * kRowLanes) {
            const float4 value = readFour(o + at + d), gradient = readFour(dO + at + d);
            const float4 rounded{kept(value.x, gradient.x), kept(value.y, gradient.y), kept(value.z, gradient.z),
                                 kept(value.w, gradient.w)};
            writeFour(g + at + d, rounded);
            sum += rounded.x * value.x + rounded.y * value.y + (rounded.z * value.z + rounded.w * value.w);
        }
    else if (own < count)
        for (int d = lane; d < s.width; d += kRowLanes) {
            const float value = toFloat(o[at + d]), rounded = kept(value, toFloat(dO[at + d]));
            setNumber(g[at + d], rounded);
            sum += rounded * value;
        }
    sum = rowLanesSum(sum);
    if (threadIdx.x == 0 && own < count) delta[rowAt] = call.rms ? 0.0f : -sum;
}

template <typename Tiles, int W>
constexpr int kFeatureBackSize = 2 * kSquareSize<Tiles> + 2 * kTallSize<Tiles, W>;

/// dL/dφ of a tile of features of a chunk's queries or keys. Blocks: chunks, heads, tiles of M.
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads)
    featuresBackKernel(FeatureCall<typename Tiles::Number> call, Upstream<typename Tiles::Number> up, bool keys,
                       const float* keep, typename Tiles::Number* dPhi) {
    waitForEarlier();
    using Number = typename Tiles::Number;
    extern __shared__ float shared[];
    Number *p = reinterpret_cast<Number*>(shared), *f = p + kSquareSize<Tiles>, *x = f + kSquareSize<Tiles>,
           *y = x + kTallSize<Tiles, W>;
    const FeatureSizes& s = call.s;
    const int chunk = static_cast<int>(blockIdx.x), bh = static_cast<int>(blockIdx.y), t = chunk * kTile,
              first = static_cast<int>(blockIdx.z) * kTile, rows = min(kTile, s.length - t),
              columns = min(kTile, s.features - first);
    const std::int64_t rowAt = s.rowAt(bh, t), featureAt = call.stateAt(bh, chunk) * s.features + first;
    const float *state = keys ? up.state : call.state, *sum = keys ? up.sum : call.sum;
    // Through the state: rows of g (of v for keys) with the state's rows, faded as the token is.
    loadTile<Tiles, W, kTile>(x, (keys ? call.v : up.g) + s.tokenAt(bh, t), s.stride(), rows, s.width);
    loadTile<Tiles, W, kTile>(y, state + featureAt * s.width, s.width, columns, s.width);
    finishLoads<Tiles>();
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
        storePlaces<Tiles>(outAt(dPhi), (rowAt + row) * s.features + first, columns, [&](int j) {
            const int m = Tiles::column(j);
            return m < columns ? fade * (own[i][j] + weight * sum[featureAt + m]) : 0.0f;
        });
    }
    if (call.causal) {  // within the chunk: da = g·vᵀ + delta, weighed and masked, with the other side's features
        __syncthreads();
        loadTile<Tiles, W, kTile>(keys ? y : x, up.g + s.tokenAt(bh, t), s.stride(), rows, s.width);
        loadTile<Tiles, W, kTile>(keys ? x : y, call.v + s.tokenAt(bh, t), s.stride(), rows, s.width);
        loadTile<Tiles, kTile, kTile>(f, (keys ? call.phiQ : call.phiK) + rowAt * s.features + first, s.features, rows,
                                      columns);
        finishLoads<Tiles>();
        __syncthreads();
        float da[Tiles::kRows][Tiles::kColumns] = {};
        Tiles::template rowsByRows<W>(keys ? y : x, keys ? x : y, da);
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j)
                if (Tiles::row(i) < rows) da[i][j] += up.delta[rowAt + Tiles::row(i)];
        weighAndMask<Tiles>(call, rowAt, rows, da);
        storeScores<Tiles>(p, Tiles::kScoreStride, da);
        __syncthreads();
        float more[Tiles::kRows][Tiles::template kWide<kTile>] = {};
        if (keys)
            Tiles::template columnsByRows<kTile>(p, f, more);
        else
            Tiles::template scoresByRows<kTile>(p, f, more);
        storeRows<Tiles, kTile>(outAt(dPhi, true), rowAt * s.features + first, s.features, rows, columns, 1.0f, more);
    }
    if (!keys || keep == nullptr) return;
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < rows * columns; i += Tiles::kThreads)
        if (keep[bh / s.heads * s.length + t + i / columns] == 0.0f)
            setNumber(dPhi[(rowAt + i / columns) * s.features + first + i % columns], 0.0f);
}

/// dv of a chunk. Blocks: chunks, heads.
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads)
    valuesBackKernel(FeatureCall<typename Tiles::Number> call, Upstream<typename Tiles::Number> up, Out dv) {
    waitForEarlier();
    using Number = typename Tiles::Number;
    extern __shared__ float shared[];
    Number *q = reinterpret_cast<Number*>(shared), *k = q + kSquareSize<Tiles>, *x = k + kSquareSize<Tiles>;
    const FeatureSizes& s = call.s;
    const int chunk = static_cast<int>(blockIdx.x), bh = static_cast<int>(blockIdx.y), t = chunk * kTile,
              rows = min(kTile, s.length - t);
    const std::int64_t rowAt = s.rowAt(bh, t), stateAt = call.stateAt(bh, chunk);
    float out[Tiles::kRows][Tiles::template kWide<W>] = {}, a[Tiles::kRows][Tiles::kColumns] = {};
    for (int first = 0; first < s.features; first += kTile) {
        const int columns = min(kTile, s.features - first);
        __syncthreads();
        loadTile<Tiles, kTile, kTile>(k, call.phiK + rowAt * s.features + first, s.features, rows, columns);
        loadTile<Tiles, W, kTile>(x, up.state + (stateAt * s.features + first) * s.width, s.width, columns, s.width);
        if (call.causal)
            loadTile<Tiles, kTile, kTile>(q, call.phiQ + rowAt * s.features + first, s.features, rows, columns);
        finishLoads<Tiles>();
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
        storeScores<Tiles>(q, Tiles::kScoreStride, a);
        loadTile<Tiles, W, kTile>(x, up.g + s.tokenAt(bh, t), s.stride(), rows, s.width);
        finishLoads<Tiles>();
        __syncthreads();
        Tiles::template columnsByRows<W>(q, x, out);
    }
    storeRows<Tiles, W>(dv, s.tokenAt(bh, t), s.stride(), rows, s.width, 1.0f, out);
}

template <typename Number, typename From>
void startRowGradients(const KeptFeatures<Number>& kept, Number* g, float* delta) {
    const FeatureSizes& s = kept.call.s;
    launch(streamOf(kept.o), "feature attention, backwards",
           {blocksFor(s.rows(), kRowsOfBlock), dim3(kRowLanes, kRowsOfBlock)}, rowGradientsKernel<Number, From>,
           kept.call, kept.o.value().template onDeviceAs<From>(), kept.o.gradient().template onDeviceAs<From>(), g,
           delta);
}

/// dL/dφ(q) or dL/dφ(k), and dv, by walks; numbers in bfloat16 alone have them.
template <typename Number>
void walkFeatures(DeviceContext& context, const KeptFeatures<Number>& kept, const Upstream<Number>& up, bool keys,
                  Number* dPhi) {
    const FeatureCall<Number>& call = kept.call;
    if constexpr (std::is_same_v<Number, Bf16>)
        walkChunks(context, call, keys ? WalkOf::KeyFeatures : WalkOf::QueryFeatures,
                   {.left = {keys ? call.v : up.g, true},
                    .right = {keys ? up.g : call.v, true},
                    .values = {keys ? call.phiQ : call.phiK, false},
                    .inner = call.s.width,
                    .width = call.s.features,
                    .delta = up.delta,
                    .state = keys ? up.state : call.state,
                    .sum = keys ? up.sum : call.sum,
                    .keep = kept.keep,
                    .out = outAt(dPhi),
                    .tokens = false});
}
template <typename Number>
void walkValues(DeviceContext& context, const KeptFeatures<Number>& kept, const Upstream<Number>& up, const Out& dv) {
    const FeatureCall<Number>& call = kept.call;
    if constexpr (std::is_same_v<Number, Bf16>)
        walkChunks(context, call, WalkOf::Values,
                   {.left = {call.phiK, false},
                    .right = {call.phiQ, false},
                    .values = {up.g, true},
                    .inner = call.s.features,
                    .width = call.s.width,
                    .state = up.state,
                    .sum = up.sum,
                    .out = dv,
                    .tokens = true});
}

template <typename Tiles, int W>
void backward(const KeptFeatures<typename Tiles::Number>& kept) {
    using Number = typename Tiles::Number;
    const FeatureCall<Number>& call = kept.call;
    const FeatureSizes& s = call.s;
    DeviceContext& context = contextOf(kept.o);
    Arena& arena = kept.o.tape().arena();
    const auto take = [&](const Shape& shape) { return arena.tensor(shape).onDeviceAs<float>(); };
    const std::int64_t heads = static_cast<std::int64_t>(s.batch) * s.heads;
    Number* g = takeNumbers<Number>(arena, kept.o.shape());
    float* delta = take({s.rows()});
    if (kept.o.type() == DType::BF16)
        startRowGradients<Number, Bf16>(kept, g, delta);
    else
        startRowGradients<Number, float>(kept, g, delta);
    float *state = take({heads, call.parts, s.features, s.width}), *sum = take({heads, call.parts, s.features});
    if (!kept.walks || !call.causal || call.parts > 1)
        sumStates<Tiles, W>(context, call, kept.walks, Summand<Number>{call.phiQ, g, delta, true, state, sum}, true);
    const Upstream<Number> up{g, delta, state, sum};
    if constexpr (std::is_same_v<Number, Bf16>)
        if (backInOnePass(kept)) return inputsBackward(kept, up);
    const dim3 tiles(static_cast<unsigned>(s.chunks()), static_cast<unsigned>(heads), blocksFor(s.features, kTile)),
        rows(static_cast<unsigned>(s.chunks()), static_cast<unsigned>(heads));
    Number* dPhi = takeNumbers<Number>(arena, {s.rows(), s.features});
    for (const bool keys : {false, true}) {
        if (kept.walks)
            walkFeatures(context, kept, up, keys, dPhi);
        else
            startTiles<Tiles>(featuresBackKernel<Tiles, W>, "feature attention, backwards", tiles,
                              kFeatureBackSize<Tiles, W> * sizeof(Number), context.stream(), call, up, keys, kept.keep,
                              dPhi);
        const Variable& x = keys ? kept.k : kept.q;
        mapBackward(kept.recipe, s, x, keys, keys ? call.phiK : call.phiQ, dPhi, outOf(x));
    }
    if (!kept.v.needsGradient()) return;
    const Out dv = outOf(kept.v);
    if (kept.walks)
        walkValues(context, kept, up, dv);
    else
        startTiles<Tiles>(valuesBackKernel<Tiles, W>, "feature attention, backwards", rows,
                          kOutputSize<Tiles, W> * sizeof(Number), context.stream(), call, up, dv);
}

}  // namespace

template <typename Number>
void featureBackward(const KeptFeatures<Number>& kept) {
    withTiles(contextOf(kept.o), kept.call.s.width, [&]<typename Arithmetic, int W>() {
        if constexpr (std::is_same_v<typename Arithmetic::Number, Number>) backward<SquareTiles<Arithmetic>, W>(kept);
    });
}

template void featureBackward(const KeptFeatures<float>&);
template void featureBackward(const KeptFeatures<Bf16>&);

}  // namespace linscope::cuda
