#include "core/attention/feature_maps_parts.cuh"

namespace linscope::cuda {
namespace {

/// The log weight of the key at t: what it has of its own, and what its place in its chunk gives.
__device__ void setWeight(const KeyWeights& keys, const FeatureSizes& s, int bh, int t, bool there, float own) {
    keys.logWeights[s.rowAt(bh, t)] =
        there ? own + keys.slopes[bh % s.heads] * static_cast<float>(t % kTile) : kNothing;
}

/// What is mapped, and where to.
template <typename From, typename Number>
struct Side {
    const From* x;  // [B,T,H,D]
    Number* phi;    // [B,H,T,M]
};

template <typename From, typename Number>
struct Elementwise {
    FeatureKind kind;
    FeatureSizes s;
    Side<From, Number> queries, keys;
    KeyWeights weights;
    __device__ float of(float value) const {
        if (kind == FeatureKind::Relu) return fmaxf(value, 0.0f) + static_cast<float>(kReluFloor);
        return value >= 0.0f ? value + 1.0f : expf(value);
    }
    __device__ void operator()(std::int64_t at, std::int64_t to, unsigned token, bool fours) const {
        const bool there = weights.keep == nullptr || weights.keep[token] != 0.0f;
        map(queries, at, to, true, fours);
        map(keys, at, to, there, fours);
        if (static_cast<unsigned>(at) % static_cast<unsigned>(s.width) != 0) return;
        const auto row = static_cast<int>(to / s.width);
        setWeight(weights, s, row / s.length, row % s.length, there, 0.0f);
    }
    __device__ void map(const Side<From, Number>& side, std::int64_t at, std::int64_t to, bool there,
                        bool fours) const {
        if (fours) {
            const float4 v = readFour(side.x + at);
            writeFour(side.phi + to, there ? float4{of(v.x), of(v.y), of(v.z), of(v.w)} : float4{});
        } else {
            setNumber(side.phi[to], there ? of(toFloat(side.x[at])) : 0.0f);
        }
    }
};

/// A factor of the projections' products in `Parts` tiles whose sum it is: in single precision as it is, in bfloat16 as
/// what rounding leaves and what it takes away, so that products keep 16 bits of fraction. An exponential magnifies
/// what rounding does to its exponent, and a ReLU forgets it: 7 bits would be too few here.
template <typename Tiles, int W>
struct Factor {
    using Number = typename Tiles::Number;
    static constexpr bool kSplit = std::is_same_v<Number, Bf16>;
    /// Whether rounding takes anything away from what comes in as From.
    template <typename From>
    static constexpr bool kHalves = kSplit && !std::is_same_v<From, Bf16>;
    template <typename From>
    static constexpr int kSize = (kHalves<From> ? 2 : 1) * kTallSize<Tiles, W>;

    template <typename From>
    __device__ static void load(Number* tile, const From* x, std::int64_t stride, int rows, int width) {
        constexpr int kFours = W / 4, kEach = kTile * kFours / Tiles::kThreads;
        const int first = static_cast<int>(threadIdx.x);
        float4 all[kEach]{};
        if (width == W && stride % 4 == 0 && reinterpret_cast<std::uintptr_t>(x) % (4 * sizeof(From)) == 0) {
#pragma unroll
            for (int n = 0; n < kEach; ++n) {  // all of them on their way before the first is waited for
                const int i = first + n * Tiles::kThreads;
                if (i / kFours < rows) all[n] = readFour(x + i / kFours * stride + i % kFours * 4);
            }
        } else {
#pragma unroll
            for (int n = 0; n < kEach; ++n) {
                const int i = first + n * Tiles::kThreads, row = i / kFours, column = i % kFours * 4;
                const auto one = [&](int c) { return row < rows && c < width ? toFloat(x[row * stride + c]) : 0.0f; };
                all[n] = {one(column), one(column + 1), one(column + 2), one(column + 3)};
            }
        }
#pragma unroll
        for (int n = 0; n < kEach; ++n) {
            const int i = first + n * Tiles::kThreads;
            const float4& four = all[n];
            Number* to = tile + i / kFours * Tiles::template kStride<W> + i % kFours * 4;
            writeFour(to, four);
            if constexpr (kHalves<From>) {
                const float4 high = readFour(to);
                writeFour(to + kTallSize<Tiles, W>,
                          {four.x - high.x, four.y - high.y, four.z - high.z, four.w - high.w});
            }
        }
    }
    /// Of rows a that came in as From with directions b.
    template <typename From>
    __device__ static void multiply(const Number* a, const Number* b, float (&result)[Tiles::kRows][Tiles::kColumns]) {
        Tiles::template rowsByRows<W>(a, b, result);
        if constexpr (kSplit) Tiles::template rowsByRows<W>(a, b + kTallSize<Tiles, W>, result);
        if constexpr (kHalves<From>) Tiles::template rowsByRows<W>(a + kTallSize<Tiles, W>, b, result);
    }
};
/// The tiles of projections: TF32's 10 bits are too few as well.
template <typename Arithmetic>
using ProjectTiles =
    std::conditional_t<std::is_same_v<typename Arithmetic::Number, Bf16>, Bf16Tiles<1, kTile>, ExactTiles>;

/// Not inlined: the code for large arguments, as often as a tile is unrolled, would crowd that of the other features
/// out of the instruction cache.
__device__ __noinline__ float cosineOrSine(float value, bool cosine) {
    return cosine ? cosf(value) : sinf(value);
}

/// Writes feature(i, u) of this thread's own u to rows [0, rows) of phi, which begin at `at` and are `stride` apart:
/// where they are aligned, by way of `staged`, since what threads have of a row is half of what memory takes at once.
template <typename Tiles, typename Feature>
__device__ void storeFeatures(typename Tiles::Number* phi, std::int64_t at, int stride, int rows, int columns,
                              typename Tiles::Number* staged, const float (&u)[Tiles::kRows][Tiles::kColumns],
                              const Feature& feature) {
    if constexpr (std::is_same_v<typename Tiles::Number, Bf16>)
        if (columns == kTile && at % 8 == 0 && stride % 8 == 0) {
            storeStaged<Tiles, kTile>(phi + at, stride, rows, staged,
                                      [&](int i, int j) { return feature(i, u[i][j]); });
            return;
        }
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i)
        if (Tiles::row(i) < rows)
            storePlaces<Tiles>(outAt(phi), at + static_cast<std::int64_t>(Tiles::row(i)) * stride, columns,
                               [&](int j) { return feature(i, u[i][j]); });
}

/// Tiles of W that stay in shared memory where they are all.
constexpr int kProjectTiles = 2;
template <typename Tiles, int W, typename From>
constexpr int kFeaturesSize = Factor<Tiles, W>::template kSize<From> +
                              kProjectTiles* Factor<Tiles, W>::template kSize<float> + kTallSize<Tiles, kTile>;
/// Blocks that a multiprocessor has shared memory for.
template <typename Tiles, int W>
constexpr int kFeatureBlocks = std::is_same_v<typename Tiles::Number, Bf16>&& W <= 64 ? 4 : 1;

/// φ̃ of u = scale·x·Wᵀ and, of keys, the log weights. The products are computed twice, for the greatest of a row and
/// with it, since that costs less than to write them down. Blocks: so many tiles of T at once, of queries and then of
/// keys, heads.
template <typename Tiles, int W, typename From>
__global__ void __launch_bounds__(Tiles::kThreads, kFeatureBlocks<Tiles, W>)
    featuresKernel(FeatureSizes s, FeatureKind kind, Projections projections,
                   Side<From, typename Tiles::Number> queries, Side<From, typename Tiles::Number> keys, float scale,
                   float norm, KeyWeights weights) {
    waitForEarlier();
    using Number = typename Tiles::Number;
    using Factors = Factor<Tiles, W>;
    constexpr int kDirections = Factors::template kSize<float>;
    extern __shared__ float shared[];
    Number *rows = reinterpret_cast<Number*>(shared), *w = rows + Factors::template kSize<From>,
           *staged = w + kProjectTiles * kDirections;
    const int bh = static_cast<int>(blockIdx.y), count = projections.count;
    const float* directions = projections.of[bh % s.heads];
    const auto loadTile = [&](Number* to, int first) {
        Factors::load(to, directions + static_cast<std::int64_t>(first) * s.width, s.width, min(kTile, count - first),
                      s.width);
    };
    const bool held = count <= kProjectTiles * kTile,
               exponential = kind == FeatureKind::Positive || kind == FeatureKind::Hyperbolic;
    for (int first = 0; held && first < count; first += kTile) loadTile(w + first / kTile * kDirections, first);
    for (int tile = static_cast<int>(blockIdx.x); tile < 2 * s.chunks(); tile += static_cast<int>(gridDim.x)) {
        const bool ofKeys = tile >= s.chunks();
        const Side<From, Number> side = ofKeys ? keys : queries;
        const float* keep = ofKeys && weights.keep != nullptr ? weights.keep + bh / s.heads * s.length : nullptr;
        const int t = tile % s.chunks() * kTile, there = min(kTile, s.length - t);
        __syncthreads();
        Factors::load(rows, side.x + s.tokenAt(bh, t), s.stride(), there, s.width);
        __syncthreads();
        const auto each = [&](const auto& use) {
#pragma unroll 1
            for (int first = 0; first < count; first += kTile) {
                if (!held) {
                    __syncthreads();
                    loadTile(w, first);
                    __syncthreads();
                }
                float u[Tiles::kRows][Tiles::kColumns] = {};
                Factors::template multiply<From>(rows, held ? w + first / kTile * kDirections : w, u);
                use(first, u);
            }
        };
        float top[Tiles::kRows];
        bool kept[Tiles::kRows];
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i) {
            top[i] = exponential ? -INFINITY : 0.0f;
            kept[i] = keep == nullptr || Tiles::row(i) >= there || keep[t + Tiles::row(i)] != 0.0f;
        }
        if (exponential) {
            each([&](int first, const float(&u)[Tiles::kRows][Tiles::kColumns]) {
#pragma unroll
                for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
                    for (int j = 0; j < Tiles::kColumns; ++j)
                        if (first + Tiles::column(j) < count)
                            top[i] = fmaxf(top[i], scale * (kind == FeatureKind::Positive ? u[i][j] : fabsf(u[i][j])));
            });
#pragma unroll
            for (int i = 0; i < Tiles::kRows; ++i) top[i] = Tiles::rowMax(top[i]);
        }
        each([&](int first, const float(&u)[Tiles::kRows][Tiles::kColumns]) {
            const auto store = [&](int at, const auto& feature) {
                storeFeatures<Tiles>(side.phi, s.rowAt(bh, t) * s.features + at + first, s.features, there,
                                     min(kTile, count - first), staged, u,
                                     [&](int i, float value) { return kept[i] ? feature(i, scale * value) : 0.0f; });
            };
            const auto exponentialOf = [&](float sign) {
                return [&top, sign](int i, float value) {
                    return Factors::kSplit ? power(sign * value - top[i]) : expf(sign * value - top[i]);
                };
            };
            // The kind is asked for once a tile: not for each of its numbers.
            if (exponential) {
                store(0, exponentialOf(1.0f));
                if (count < s.features) store(count, exponentialOf(-1.0f));
            } else if (kind == FeatureKind::Trigonometric) {
                store(0, [](int, float value) { return cosineOrSine(value, true); });
                store(count, [](int, float value) { return cosineOrSine(value, false); });
            } else {
                store(0, [](int, float value) { return fmaxf(value, 0.0f) + static_cast<float>(kReluFloor); });
            }
        });
        if (!ofKeys) continue;
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i) {
            float squares = 0.0f;  // of this thread's columns
            for (int first = 0; first < W; first += kTile)
#pragma unroll
                for (int j = 0; j < Tiles::kColumns; ++j) {
                    const int d = first + Tiles::column(j);
                    if (d >= s.width) continue;
                    const Number* place = rows + Tiles::row(i) * Tiles::template kStride<W> + d;
                    float value = toFloat(*place);
                    if constexpr (Factors::template kHalves<From>) value += toFloat(place[kTallSize<Tiles, W>]);
                    squares += value * value;
                }
            squares = Tiles::rowSum(squares);
            const int token = t + Tiles::row(i);
            if (!Tiles::leads() || token >= s.length) continue;
            const float own = kind == FeatureKind::ProjectedRelu ? 0.0f : top[i] + norm * squares;
            setWeight(weights, s, bh, token, kept[i], own);
        }
    }
}

template <typename From, typename Number>
void forwardFrom(const FeatureRecipe& recipe, const FeatureSizes& s, const Variable& q, const Variable& k, Number* phiQ,
                 Number* phiK, const KeyWeights& weights) {
    const Side<From, Number> queries{q.value().template onDeviceAs<From>(), phiQ},
        keys{k.value().template onDeviceAs<From>(), phiK};
    cudaStream_t stream = streamOf(q);
    if (!projects(recipe.kind)) {
        overChannels(stream, s, "features", Elementwise<From, Number>{recipe.kind, s, queries, keys, weights});
        return;
    }
    const Projections projections = projectionsOf(recipe);
    const auto scale = static_cast<float>(recipe.scale);
    using Arithmetic = std::conditional_t<std::is_same_v<Number, Bf16>, Bf16Arithmetic, ExactArithmetic>;
    withWidth<Arithmetic>(s.width, [&]<typename Chosen, int W>() {
        using Tiles = ProjectTiles<Chosen>;
        // As many blocks as there is room for at once, so that W is loaded as seldom, with as many tiles each.
        const auto heads = static_cast<unsigned>(s.batch * s.heads), tiles = static_cast<unsigned>(2 * s.chunks());
        const unsigned room = blocksFor(kFeatureBlocks<Tiles, W> * contextOf(q).processors(), heads),
                       blocks = blocksFor(tiles, blocksFor(tiles, room));
        startTiles<Tiles>(featuresKernel<Tiles, W, From>, "features", dim3(blocks, heads),
                          kFeaturesSize<Tiles, W, From> * sizeof(Number), stream, s, recipe.kind, projections, queries,
                          keys, scale, static_cast<float>(recipe.norm) * scale * scale, weights);
    });
}

}  // namespace

template <typename Number>
void mapForward(const FeatureRecipe& recipe, const FeatureSizes& s, const Variable& q, const Variable& k, Number* phiQ,
                Number* phiK, const KeyWeights& keys) {
    if (q.type() == DType::BF16) {
        if constexpr (std::is_same_v<Number, Bf16>) forwardFrom<Bf16>(recipe, s, q, k, phiQ, phiK, keys);
    } else {
        forwardFrom<float>(recipe, s, q, k, phiQ, phiK, keys);
    }
}

template void mapForward(const FeatureRecipe&, const FeatureSizes&, const Variable&, const Variable&, float*, float*,
                         const KeyWeights&);
template void mapForward(const FeatureRecipe&, const FeatureSizes&, const Variable&, const Variable&, Bf16*, Bf16*,
                         const KeyWeights&);

}  // namespace linscope::cuda
