#include "core/attention/feature_maps_parts.cuh"

namespace linscope::cuda {
namespace {

template <typename From, typename Number>
struct Elementwise {
    FeatureKind kind;
    const From* x;
    const float* keep;
    Number* phi;
    __device__ float of(float value) const {
        if (kind == FeatureKind::Relu) return fmaxf(value, 0.0f) + static_cast<float>(kReluFloor);
        return value >= 0.0f ? value + 1.0f : expf(value);
    }
    __device__ void operator()(std::int64_t at, std::int64_t to, unsigned token, bool fours) const {
        const bool there = keep == nullptr || keep[token] != 0.0f;
        if (fours) {
            const float4 v = readFour(x + at);
            writeFour(phi + to, there ? float4{of(v.x), of(v.y), of(v.z), of(v.w)} : float4{});
        } else {
            setNumber(phi[to], there ? of(toFloat(x[at])) : 0.0f);
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
    if constexpr (std::is_same_v<typename Tiles::Number, Bf16>) {
        constexpr int kEights = kTile / 8, kRowsAtOnce = kWarp / kEights;
        if (columns == kTile && at % 8 == 0 && stride % 8 == 0) {
            __syncwarp();  // rows of a tile are one warp's
#pragma unroll
            for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
                for (int j = 0; j < Tiles::kColumns; j += 2)
                    *reinterpret_cast<unsigned*>(staged + Tiles::row(i) * Tiles::kScoreStride + Tiles::column(j)) =
                        packBf16(feature(i, u[i][j]), feature(i, u[i][j + 1]));
            __syncwarp();
            const int first = Tiles::firstRow() + Tiles::lane() / kEights, column = Tiles::lane() % kEights * 8;
#pragma unroll
            for (int n = 0; n < 8 * Tiles::kRows; n += kRowsAtOnce)
                if (const int row = first + n; row < rows)
                    *reinterpret_cast<uint4*>(phi + at + static_cast<std::int64_t>(row) * stride + column) =
                        *reinterpret_cast<const uint4*>(staged + row * Tiles::kScoreStride + column);
            return;
        }
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
/// with it, since that costs less than to write them down. Blocks: so many tiles of T at once, heads.
template <typename Tiles, int W, typename From>
__global__ void __launch_bounds__(Tiles::kThreads, kFeatureBlocks<Tiles, W>)
    featuresKernel(FeatureSizes s, FeatureKind kind, Projections projections, const From* x, float scale, float norm,
                   KeyWeights keys, typename Tiles::Number* phi) {
    waitForEarlier();
    using Number = typename Tiles::Number;
    using Factors = Factor<Tiles, W>;
    constexpr int kDirections = Factors::template kSize<float>;
    extern __shared__ float shared[];
    Number *rows = reinterpret_cast<Number*>(shared), *w = rows + Factors::template kSize<From>,
           *staged = w + kProjectTiles * kDirections;
    const int bh = static_cast<int>(blockIdx.y), count = projections.count;
    const float* directions = projections.of[bh % s.heads];
    const float* keep = keys.keep == nullptr ? nullptr : keys.keep + static_cast<std::int64_t>(bh / s.heads) * s.length;
    const auto loadTile = [&](Number* to, int first) {
        Factors::load(to, directions + static_cast<std::int64_t>(first) * s.width, s.width, min(kTile, count - first),
                      s.width);
    };
    const bool held = count <= kProjectTiles * kTile,
               exponential = kind == FeatureKind::Positive || kind == FeatureKind::Hyperbolic;
    for (int first = 0; held && first < count; first += kTile) loadTile(w + first / kTile * kDirections, first);
    for (int t = static_cast<int>(blockIdx.x) * kTile; t < s.length; t += static_cast<int>(gridDim.x) * kTile) {
        const int there = min(kTile, s.length - t);
        __syncthreads();
        Factors::load(rows, x + s.tokenAt(bh, t), s.stride(), there, s.width);
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
                storeFeatures<Tiles>(phi, s.rowAt(bh, t) * s.features + at + first, s.features, there,
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
        if (keys.logWeights == nullptr) continue;
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
            keys.logWeights[s.rowAt(bh, token)] =
                kept[i] ? own + keys.slopes[bh % s.heads] * static_cast<float>(token % kTile) : kNothing;
        }
    }
}

void plainWeights(cudaStream_t stream, const FeatureSizes& s, const KeyWeights& keys) {
    forEach(stream, s.rows(), "log weights", [=] __device__(std::int64_t row) {
        const int t = static_cast<int>(row % s.length), bh = static_cast<int>(row / s.length);
        const bool there = keys.keep == nullptr || keys.keep[bh / s.heads * s.length + t] != 0.0f;
        keys.logWeights[row] = there ? keys.slopes[bh % s.heads] * static_cast<float>(t % kTile) : kNothing;
    });
}

template <typename From, typename Number>
void forwardFrom(const FeatureRecipe& recipe, const FeatureSizes& s, const Variable& x, Number* phi,
                 const KeyWeights* keys) {
    const From* in = x.value().template onDeviceAs<From>();
    cudaStream_t stream = streamOf(x);
    if (!projects(recipe.kind)) {
        overChannels(stream, s, "features",
                     Elementwise<From, Number>{recipe.kind, in, keys != nullptr ? keys->keep : nullptr, phi});
        if (keys != nullptr) plainWeights(stream, s, *keys);
        return;
    }
    const Projections projections = projectionsOf(recipe);
    const auto scale = static_cast<float>(recipe.scale);
    using Arithmetic = std::conditional_t<std::is_same_v<Number, Bf16>, Bf16Arithmetic, ExactArithmetic>;
    withWidth<Arithmetic>(s.width, [&]<typename Chosen, int W>() {
        using Tiles = ProjectTiles<Chosen>;
        // As many blocks as there is room for at once, so that W is loaded as seldom.
        const auto heads = static_cast<unsigned>(s.batch * s.heads);
        const unsigned tiles = blocksFor(kFeatureBlocks<Tiles, W> * contextOf(x).processors(), heads),
                       blocks = std::min(static_cast<unsigned>(s.chunks()), tiles);
        startTiles<Tiles>(featuresKernel<Tiles, W, From>, "features", dim3(blocks, heads),
                          kFeaturesSize<Tiles, W, From> * sizeof(Number), stream, s, recipe.kind, projections, in,
                          scale, static_cast<float>(recipe.norm) * scale * scale,
                          keys != nullptr ? *keys : KeyWeights{}, phi);
    });
}

}  // namespace

template <typename Number>
void mapForward(const FeatureRecipe& recipe, const FeatureSizes& s, const Variable& x, Number* phi,
                const KeyWeights* keys) {
    if (x.type() == DType::BF16) {
        if constexpr (std::is_same_v<Number, Bf16>) forwardFrom<Bf16>(recipe, s, x, phi, keys);
    } else {
        forwardFrom<float>(recipe, s, x, phi, keys);
    }
}

template void mapForward(const FeatureRecipe&, const FeatureSizes&, const Variable&, float*, const KeyWeights*);
template void mapForward(const FeatureRecipe&, const FeatureSizes&, const Variable&, Bf16*, const KeyWeights*);

}  // namespace linscope::cuda
