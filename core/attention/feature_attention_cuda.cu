#include "core/attention/feature_walk.cuh"

namespace linscope::cuda {
namespace {

/// top: the running maximum of the log weights. A warp for each head.
template <typename Number>
__global__ void runningTopKernel(FeatureCall<Number> call) {
    waitForEarlier();
    const int bh = static_cast<int>(blockIdx.x), lane = static_cast<int>(threadIdx.x);
    const float* c = call.logWeights + call.s.rowAt(bh, 0);
    float *top = call.top + call.s.rowAt(bh, 0), before = kNothing;
    for (int t = 0; t < call.s.length; t += static_cast<int>(kWarp)) {
        if (t > 0 && t % kTile == 0) before -= call.slopes[bh % call.s.heads] * kTile;
        float value = t + lane < call.s.length ? c[t + lane] : kNothing;
        for (unsigned offset = 1; offset < kWarp; offset *= 2) {
            const float other = __shfl_up_sync(kAllLanes, value, offset);
            if (lane >= static_cast<int>(offset)) value = fmaxf(value, other);
        }
        value = fmaxf(value, before);
        if (t + lane < call.s.length) top[t + lane] = value;
        before = __shfl_sync(kAllLanes, value, kWarp - 1);
    }
}

constexpr int kTopThreads = 1024;

/// top: the maximum of all. A block for each head.
template <typename Number>
__global__ void topKernel(FeatureCall<Number> call) {
    waitForEarlier();
    __shared__ float tops[kTopThreads / kWarp];
    const float* c = call.logWeights + call.s.rowAt(static_cast<int>(blockIdx.x), 0);
    float *to = call.top + call.s.rowAt(static_cast<int>(blockIdx.x), 0), top = kNothing;
    for (int t = static_cast<int>(threadIdx.x); t < call.s.length; t += kTopThreads) top = fmaxf(top, c[t]);
    top = warpMax(top);
    if (threadIdx.x % kWarp == 0) tops[threadIdx.x / kWarp] = top;
    __syncthreads();
    for (const float other : tops) top = fmaxf(top, other);
    for (int t = static_cast<int>(threadIdx.x); t < call.s.length; t += kTopThreads) to[t] = top;
}

/// The rows of o of a chunk, and what they were divided by. Blocks: chunks, heads.
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads) outputKernel(FeatureCall<typename Tiles::Number> call, Out o) {
    waitForEarlier();
    using Number = typename Tiles::Number;
    extern __shared__ float shared[];
    __shared__ float sums[kTile];
    Number *p = reinterpret_cast<Number*>(shared), *k = p + kSquareSize<Tiles>, *x = k + kSquareSize<Tiles>;
    const FeatureSizes& s = call.s;
    const int chunk = static_cast<int>(blockIdx.x), bh = static_cast<int>(blockIdx.y), t = chunk * kTile,
              rows = min(kTile, s.length - t);
    const std::int64_t rowAt = s.rowAt(bh, t), stateAt = call.stateAt(bh, chunk);
    float out[Tiles::kRows][Tiles::template kWide<W>] = {}, a[Tiles::kRows][Tiles::kColumns] = {};
    float divisor[Tiles::kRows] = {};
    for (int first = 0; first < s.features; first += kTile) {
        const int columns = min(kTile, s.features - first);
        __syncthreads();
        loadTile<Tiles, kTile, kTile>(p, call.phiQ + rowAt * s.features + first, s.features, rows, columns);
        loadTile<Tiles, W, kTile>(x, call.state + (stateAt * s.features + first) * s.width, s.width, columns, s.width);
        if (call.causal)
            loadTile<Tiles, kTile, kTile>(k, call.phiK + rowAt * s.features + first, s.features, rows, columns);
        if (threadIdx.x < kTile)
            sums[threadIdx.x] =
                static_cast<int>(threadIdx.x) < columns ? call.sum[stateAt * s.features + first + threadIdx.x] : 0.0f;
        finishLoads<Tiles>();
        __syncthreads();
        Tiles::template scoresByRows<W>(p, x, out);
        if (call.causal) Tiles::template rowsByRows<kTile>(p, k, a);
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j)
                divisor[i] +=
                    toFloat(p[Tiles::row(i) * Tiles::kScoreStride + Tiles::column(j)]) * sums[Tiles::column(j)];
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
            for (int j = 0; j < Tiles::kColumns; ++j)
                divisor[i] += toFloat(Tiles::number(a[i][j]));  // as products have it
        }
        __syncthreads();
        loadTile<Tiles, W, kTile>(x, call.v + s.tokenAt(bh, t), s.stride(), rows, s.width);
        finishLoads<Tiles>();
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
    storeRows<Tiles, W>(o, s.tokenAt(bh, t), s.stride(), rows, s.width, 1.0f, out);
}

/// How many parts a sequence is summed in: one for each chunk where every chunk needs what came before it from memory;
/// else so few that every multiprocessor has some blocks.
template <typename Number>
void share(FeatureCall<Number>& call, bool walks, int processors) {
    const FeatureSizes& s = call.s;
    const auto chunks = static_cast<unsigned>(s.chunks()), heads = static_cast<unsigned>(s.batch * s.heads);
    const unsigned slices = blocksFor(s.width, kTile);
    unsigned parts = chunks;
    if (walks && call.causal)  // two blocks a multiprocessor; what a part begins with costs as much as half of a walk
        parts = heads * slices >= static_cast<unsigned>(processors) / 2 ? 1 : blocksFor(2 * processors, heads * slices);
    else if (walks)  // as many blocks as are there at once: more would wait, and have states to be summed again
        parts = blocksFor(3 * processors, heads * slices);
    else if (!call.causal)
        parts = blocksFor(8 * processors, heads * blocksFor(s.features, kTile));
    call.ofPart = static_cast<int>(blocksFor(chunks, std::min(parts, chunks)));
    call.parts = static_cast<int>(blocksFor(chunks, static_cast<unsigned>(call.ofPart)));
}

template <typename Tiles, int W>
void forward(const FeatureMap& map, const Variable& q, const Variable& k, const Variable& v, const Variable& o,
             const FeatureAttentionOptions& options) {
    using Number = typename Tiles::Number;
    Arena& arena = q.tape().arena();
    DeviceContext& context = *arena.context();
    auto* kept = arena.make<KeptFeatures<Number>>();
    kept->recipe = map.recipe();
    kept->q = q;
    kept->k = k;
    kept->v = v;
    kept->o = o;
    kept->keep = options.keep.empty() ? nullptr : options.keep.data();
    FeatureCall<Number>& call = kept->call;
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
    const std::int64_t heads = static_cast<std::int64_t>(s.batch) * s.heads;
    kept->walks = std::is_same_v<Number, Bf16> && !call.rms && s.features <= kMostWalked && s.width <= kMostWalked;
    share(call, kept->walks, context.processors());
    Number *phiQ = takeNumbers<Number>(arena, {s.rows(), s.features}),
           *phiK = takeNumbers<Number>(arena, {s.rows(), s.features});
    call.phiQ = phiQ;
    call.phiK = phiK;
    call.v = numbersOf<Number>(v);
    call.logWeights = keys.logWeights = take({s.rows()});
    call.top = take({s.rows()});
    call.divisor = take({s.rows()});
    call.state = take({heads, call.parts, s.features, s.width});
    call.sum = take({heads, call.parts, s.features});
    mapForward(kept->recipe, s, q, k, phiQ, phiK, keys);
    if (call.causal)
        launch(context.stream(), "feature attention", {static_cast<unsigned>(heads), kWarp}, runningTopKernel<Number>,
               call);
    else
        launch(context.stream(), "feature attention", {static_cast<unsigned>(heads), kTopThreads}, topKernel<Number>,
               call);
    if (!kept->walks || !call.causal || call.parts > 1)
        sumStates<Tiles, W>(context, call, kept->walks,
                            Summand<Number>{phiK, call.v, nullptr, false, call.state, call.sum}, false);
    if constexpr (std::is_same_v<Number, Bf16>)
        if (kept->walks)
            walkChunks(context, call, WalkOf::Output,
                       {.left = {phiQ, false},
                        .right = {phiK, false},
                        .values = {call.v, true},
                        .inner = s.features,
                        .width = s.width,
                        .state = call.state,
                        .sum = call.sum,
                        .out = outOf(o.value()),
                        .tokens = true});
    if (!kept->walks)
        startTiles<Tiles>(outputKernel<Tiles, W>, "feature attention",
                          dim3(static_cast<unsigned>(s.chunks()), static_cast<unsigned>(heads)),
                          kOutputSize<Tiles, W> * sizeof(Number), context.stream(), call, outOf(o.value()));
    q.tape().record(o, [kept] { featureBackward(*kept); });
}

}  // namespace

Variable featureAttention(const FeatureMap& map, const Variable& q, const Variable& k, const Variable& v,
                          const FeatureAttentionOptions& options) {
    bool learns = q.needsGradient() || k.needsGradient() || v.needsGradient();
    for (const Parameter* parameter : map.parameters()) learns = learns || parameter->trained();
    const Variable o = q.tape().make(q.tape().arena().tensor(q.shape(), q.type()), learns);
    withTiles(contextOf(q), static_cast<int>(q.shape()[3]),
              [&]<typename Arithmetic, int W>() { forward<SquareTiles<Arithmetic>, W>(map, q, k, v, o, options); });
    return o;
}

}  // namespace linscope::cuda
