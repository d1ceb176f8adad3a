#include "core/attention/feature_maps.cuh"
#include "core/attention/projected_features.h"

namespace linscope::cuda {
namespace {

using Kind = FeatureRecipe::Kind;

/// One projection [P,D] for each head.
struct Projections {
    const float* of[kMostFeatureHeads];
    int count;  // P
};

Projections projectionsOf(const FeatureRecipe& recipe) {
    Projections all{};
    for (std::size_t h = 0; h < recipe.projections.size(); ++h)
        all.of[h] = recipe.projections[h]->onDevice.value.onDeviceAs<float>();
    all.count = static_cast<int>(recipe.projections[0]->value.shape()[0]);
    return all;
}

bool projects(Kind kind) {
    return kind != Kind::Elu && kind != Kind::Relu;
}

/// function(place in [B,T,H,D], place in [B,H,T,D], token b·T + t, whether four places or one) for all numbers.
template <typename Function>
void overChannels(cudaStream_t stream, const FeatureSizes& s, const char* name, const Function& function) {
    const bool fours = s.width % 4 == 0;
    forEach(stream, s.rows() * s.width / (fours ? 4 : 1), name, [=] __device__(std::int64_t i) {
        const auto at = static_cast<unsigned>(i) * (fours ? 4u : 1u), width = static_cast<unsigned>(s.width),
                   heads = static_cast<unsigned>(s.heads), length = static_cast<unsigned>(s.length);
        const unsigned row = at / width, d = at % width, h = row % heads, token = row / heads, b = token / length;
        function(at, (static_cast<std::int64_t>(b * heads + h) * length + token % length) * width + d, token, fours);
    });
}

template <typename From, typename Number>
struct Elementwise {
    Kind kind;
    const From* x;
    const float* keep;
    Number* phi;
    __device__ float of(float value) const {
        if (kind == Kind::Relu) return fmaxf(value, 0.0f) + static_cast<float>(kReluFloor);
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

template <typename From, typename Number>
struct ElementwiseBack {
    Kind kind;
    const From* x;
    const Number *phi, *dPhi;
    Out dx;
    __device__ float slope(float value, float feature) const {
        return kind == Kind::Relu ? (value > 0.0f ? 1.0f : 0.0f) : fminf(feature, 1.0f);
    }
    __device__ void operator()(std::int64_t at, std::int64_t from, unsigned, bool fours) const {
        if (fours) {
            const float4 v = readFour(x + at), f = readFour(phi + from), d = readFour(dPhi + from);
            dx.putTwo(at, slope(v.x, f.x) * d.x, slope(v.y, f.y) * d.y);
            dx.putTwo(at + 2, slope(v.z, f.z) * d.z, slope(v.w, f.w) * d.w);
        } else {
            dx.put(at, slope(toFloat(x[at]), toFloat(phi[from])) * toFloat(dPhi[from]));
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
    static constexpr int kSize = (kSplit ? 2 : 1) * kTallSize<Tiles, W>;

    template <typename From>
    __device__ static void load(Number* tile, const From* x, std::int64_t stride, int rows, int width) {
        const bool fours =
            width == W && stride % 4 == 0 && reinterpret_cast<std::uintptr_t>(x) % (4 * sizeof(From)) == 0;
        for (int i = static_cast<int>(threadIdx.x); i < kTile * W / 4; i += Tiles::kThreads) {
            const int row = i / (W / 4), column = i % (W / 4) * 4;
            const auto one = [&](int c) { return c < width ? toFloat(x[row * stride + c]) : 0.0f; };
            float4 four{};
            if (row < rows)
                four = fours ? readFour(x + row * stride + column)
                             : float4{one(column), one(column + 1), one(column + 2), one(column + 3)};
            Number* to = tile + row * Tiles::template kStride<W> + column;
            writeFour(to, four);
            if constexpr (kSplit) {
                const float4 high = readFour(to);
                writeFour(to + kTallSize<Tiles, W>,
                          {four.x - high.x, four.y - high.y, four.z - high.z, four.w - high.w});
            }
        }
    }
    /// `rounded`: nothing has been taken away from a.
    __device__ static void multiply(const Number* a, const Number* b, bool rounded,
                                    float (&result)[Tiles::kRows][Tiles::kColumns]) {
        Tiles::template rowsByRows<W>(a, b, result);
        if constexpr (kSplit) {
            Tiles::template rowsByRows<W>(a, b + kTallSize<Tiles, W>, result);
            if (!rounded) Tiles::template rowsByRows<W>(a + kTallSize<Tiles, W>, b, result);
        }
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

/// Tiles of W that stay in shared memory where they are all.
constexpr int kProjectTiles = 2;

/// φ̃ of u = scale·x·Wᵀ and, of keys, the log weights. The products are computed twice, for the greatest of a row and
/// with it, since that costs less than to write them down. Blocks: tiles of T, heads.
template <typename Tiles, int W, typename From>
__global__ void __launch_bounds__(Tiles::kThreads)
    featuresKernel(FeatureSizes s, Kind kind, Projections projections, const From* x, float scale, float norm,
                   KeyWeights keys, typename Tiles::Number* phi) {
    using Number = typename Tiles::Number;
    extern __shared__ float shared[];
    Number *rows = reinterpret_cast<Number*>(shared), *w = rows + Factor<Tiles, W>::kSize;
    const int t = static_cast<int>(blockIdx.x) * kTile, bh = static_cast<int>(blockIdx.y), count = projections.count;
    const float* directions = projections.of[bh % s.heads];
    Factor<Tiles, W>::load(rows, x + s.tokenAt(bh, t), s.stride(), min(kTile, s.length - t), s.width);
    const auto loadTile = [&](Number* to, int first) {
        Factor<Tiles, W>::load(to, directions + static_cast<std::int64_t>(first) * s.width, s.width,
                               min(kTile, count - first), s.width);
    };
    const bool held = count <= kProjectTiles * kTile;
    for (int first = 0; held && first < count; first += kTile)
        loadTile(w + first / kTile * Factor<Tiles, W>::kSize, first);
    __syncthreads();
    const auto each = [&](const auto& use) {
        for (int first = 0; first < count; first += kTile) {
            if (!held) {
                __syncthreads();
                loadTile(w, first);
                __syncthreads();
            }
            float u[Tiles::kRows][Tiles::kColumns] = {};
            Factor<Tiles, W>::multiply(rows, held ? w + first / kTile * Factor<Tiles, W>::kSize : w,
                                       std::is_same_v<From, Bf16>, u);
            use(first, u);
        }
    };
    float top[Tiles::kRows];
    const bool exponential = kind == Kind::Positive || kind == Kind::Hyperbolic;
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) top[i] = exponential ? -INFINITY : 0.0f;
    if (exponential) {
        each([&](int first, const float(&u)[Tiles::kRows][Tiles::kColumns]) {
#pragma unroll
            for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
                for (int j = 0; j < Tiles::kColumns; ++j)
                    if (first + Tiles::column(j) < count)
                        top[i] = fmaxf(top[i], scale * (kind == Kind::Positive ? u[i][j] : fabsf(u[i][j])));
        });
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i) top[i] = Tiles::rowMax(top[i]);
    }
    each([&](int first, const float(&u)[Tiles::kRows][Tiles::kColumns]) {
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i) {
            const int token = t + Tiles::row(i);
            if (token >= s.length) continue;
            const bool there = keys.keep == nullptr || keys.keep[bh / s.heads * s.length + token] != 0.0f;
            const std::int64_t at = s.rowAt(bh, token) * s.features + first;
            const int columns = min(kTile, count - first);
            const auto store = [&](std::int64_t place, float sign) {
                storePlaces<Tiles>(outAt(phi), place, columns, [&](int j) {
                    const float value = scale * u[i][j];
                    if (!there) return 0.0f;
                    switch (kind) {
                        case Kind::Positive:
                        case Kind::Hyperbolic:
                            return Factor<Tiles, W>::kSplit ? power(sign * value - top[i])
                                                            : expf(sign * value - top[i]);
                        case Kind::Trigonometric:
                            return cosineOrSine(value, sign > 0.0f);
                        default:
                            return fmaxf(value, 0.0f) + static_cast<float>(kReluFloor);
                    }
                });
            };
            store(at, 1.0f);
            if (count < s.features) store(at + count, -1.0f);
        }
    });
    if (keys.logWeights == nullptr) return;
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
                if constexpr (Factor<Tiles, W>::kSplit) value += toFloat(place[kTallSize<Tiles, W>]);
                squares += value * value;
            }
        squares = Tiles::rowSum(squares);
        const int token = t + Tiles::row(i);
        if (!Tiles::leads() || token >= s.length) continue;
        const float own = kind == Kind::ProjectedRelu ? 0.0f : top[i] + norm * squares;
        const bool there = keys.keep == nullptr || keys.keep[bh / s.heads * s.length + token] != 0.0f;
        keys.logWeights[s.rowAt(bh, token)] =
            there ? own + keys.slopes[bh % s.heads] * static_cast<float>(token % kTile) : kNothing;
    }
}

void plainWeights(cudaStream_t stream, const FeatureSizes& s, const KeyWeights& keys) {
    forEach(stream, s.rows(), "log weights", [=] __device__(std::int64_t row) {
        const int t = static_cast<int>(row % s.length), bh = static_cast<int>(row / s.length);
        const bool there = keys.keep == nullptr || keys.keep[bh / s.heads * s.length + t] != 0.0f;
        keys.logWeights[row] = there ? keys.slopes[bh % s.heads] * static_cast<float>(t % kTile) : kNothing;
    });
}

/// What a projected ReLU's feature is above where its slope is 1: the floor, as a tile has it.
template <typename Tiles>
constexpr float kLeastRelu = static_cast<float>(kReluFloor) * (1.0f + Tiles::kRounding);

/// dL/du from dL/dφ and φ, and from those of the second half where there is one, and what it adds to dL/d(log weight).
template <typename Tiles>
__device__ float activateBack(Kind kind, float f, float d, float second, float dSecond, float& flow) {
    switch (kind) {
        case Kind::Positive:
        case Kind::Hyperbolic:
            flow += d * f + dSecond * second;
            return d * f - dSecond * second;
        case Kind::Trigonometric:
            flow += d * f + dSecond * second;
            return dSecond * f - d * second;
        default:
            return f > kLeastRelu<Tiles> ? d : 0.0f;
    }
}

/// Of φ and dφ a tile each, and of W, and where there are second halves, of those.
template <typename Tiles, int W>
constexpr int projectBackSize(bool pairs) {
    return (pairs ? 4 : 2) * kTallSize<Tiles, kTile> + kTallSize<Tiles, W>;
}

/// dx (+)= scale·du·W + along·x, where `along` is what x gets through its squared norm. Where the projections are
/// learned, du takes the place of the first half of dφ. Blocks: tiles of T, heads.
template <typename Tiles, int W, typename From>
__global__ void __launch_bounds__(Tiles::kThreads)
    projectBackKernel(FeatureSizes s, Kind kind, Projections projections, const From* x, float scale, float norm,
                      const typename Tiles::Number* phi, typename Tiles::Number* dPhi, bool learned, Out dx) {
    using Number = typename Tiles::Number;
    extern __shared__ float shared[];
    __shared__ float flows[kTile];
    constexpr int kSize = kTallSize<Tiles, kTile>;
    Number *d = reinterpret_cast<Number*>(shared), *f = d + kSize, *w = f + kSize, *dSecond = w + kTallSize<Tiles, W>,
           *second = dSecond + kSize;
    const int t = static_cast<int>(blockIdx.x) * kTile, bh = static_cast<int>(blockIdx.y),
              rows = min(kTile, s.length - t), thread = static_cast<int>(threadIdx.x);
    const std::int64_t featuresAt = s.rowAt(bh, t) * s.features;
    const bool pairs = projections.count < s.features;
    if (thread < kTile) flows[thread] = 0.0f;
    float gradient[Tiles::kRows][Tiles::template kWide<W>] = {};
    for (int first = 0; first < projections.count; first += kTile) {
        const int count = min(kTile, projections.count - first);
        const std::int64_t at = featuresAt + first;
        __syncthreads();
        loadTile<Tiles, kTile, kTile>(d, dPhi + at, s.features, rows, count);
        loadTile<Tiles, kTile, kTile>(f, phi + at, s.features, rows, count);
        if (pairs) {
            loadTile<Tiles, kTile, kTile>(dSecond, dPhi + at + projections.count, s.features, rows, count);
            loadTile<Tiles, kTile, kTile>(second, phi + at + projections.count, s.features, rows, count);
        }
        loadTile<Tiles, W, kTile>(w, projections.of[bh % s.heads] + static_cast<std::int64_t>(first) * s.width, s.width,
                                  count, s.width);
        finishLoads<Tiles>();
        __syncthreads();
        // Sixteen neighbouring threads share a row: the first of them has its sum.
        constexpr int kFours = kTile / 4;
        for (int i = thread; i < kTile * kFours; i += Tiles::kThreads) {
            const int row = i / kFours, place = row * Tiles::kScoreStride + i % kFours * 4;
            const float4 none{}, a = readFour(d + place), b = readFour(f + place),
                                 a2 = pairs ? readFour(dSecond + place) : none,
                                 b2 = pairs ? readFour(second + place) : none;
            float flow = 0.0f;
            const float4 du{activateBack<Tiles>(kind, b.x, a.x, b2.x, a2.x, flow),
                            activateBack<Tiles>(kind, b.y, a.y, b2.y, a2.y, flow),
                            activateBack<Tiles>(kind, b.z, a.z, b2.z, a2.z, flow),
                            activateBack<Tiles>(kind, b.w, a.w, b2.w, a2.w, flow)};
            writeFour(d + place,
                      {Tiles::rounded(du.x), Tiles::rounded(du.y), Tiles::rounded(du.z), Tiles::rounded(du.w)});
            for (int offset = kFours / 2; offset > 0; offset /= 2)
                flow += __shfl_xor_sync(kAllLanes, flow, offset, kFours);
            if (i % kFours == 0) flows[row] += flow;
        }
        __syncthreads();
        Tiles::template scoresByRows<W>(d, w, gradient);
        if (!learned) continue;
        for (int i = thread; i < rows * count; i += Tiles::kThreads)
            dPhi[at + static_cast<std::int64_t>(i / count) * s.features + i % count] =
                d[i / count * Tiles::kScoreStride + i % count];
    }
    if (dx.data == nullptr) return;
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
        for (int c = 0; c < Tiles::template kWide<W>; c += 2) {
            const int row = Tiles::row(i), column = Tiles::template wide<W>(c);
            if (row >= rows || column >= s.width) continue;
            const std::int64_t at = s.tokenAt(bh, t + row) + column;
            const float along = 2.0f * norm * flows[row];
            if (s.width % 2 == 0) {
                const float2 own = In{x, std::is_same_v<From, Bf16>}.two(at);
                dx.putTwo(at, scale * gradient[i][c] + along * own.x, scale * gradient[i][c + 1] + along * own.y);
            } else {
                dx.put(at, scale * gradient[i][c] + along * toFloat(x[at]));
                if (column + 1 < s.width) dx.put(at + 1, scale * gradient[i][c + 1] + along * toFloat(x[at + 1]));
            }
        }
}

/// partial [B·H,P,D] = scale·Σ_t du_t·x_tᵀ. Blocks: tiles of P, heads.
template <typename Tiles, int W, typename From>
__global__ void __launch_bounds__(Tiles::kThreads)
    weightGradientKernel(FeatureSizes s, int count, const From* x, float scale, const typename Tiles::Number* du,
                         float* partial) {
    using Number = typename Tiles::Number;
    extern __shared__ float shared[];
    Number *p = reinterpret_cast<Number*>(shared), *rows = p + kTallSize<Tiles, kTile>;
    const int first = static_cast<int>(blockIdx.x) * kTile, bh = static_cast<int>(blockIdx.y);
    float gradient[Tiles::kRows][Tiles::template kWide<W>] = {};
    for (int t = 0; t < s.length; t += kTile) {
        const int there = min(kTile, s.length - t);
        __syncthreads();
        loadTile<Tiles, kTile, kTile>(p, du + s.rowAt(bh, t) * s.features + first, s.features, there,
                                      min(kTile, count - first));
        loadTile<Tiles, W, kTile>(rows, x + s.tokenAt(bh, t), s.stride(), there, s.width);
        finishLoads<Tiles>();
        __syncthreads();
        Tiles::template columnsByRows<W>(p, rows, gradient);
    }
    storeRows<Tiles, W>({partial}, (static_cast<std::int64_t>(bh) * count + first) * s.width, s.width,
                        min(kTile, count - first), s.width, scale, gradient);
}

void sumWeights(cudaStream_t stream, const FeatureSizes& s, std::int64_t size, int head, const float* partial,
                float* gradient) {
    forEach(stream, size, "features, weights", [=] __device__(std::int64_t i) {
        float sum = 0;
        for (int b = 0; b < s.batch; ++b) sum += partial[(static_cast<std::int64_t>(b) * s.heads + head) * size + i];
        gradient[i] += sum;
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
        startTiles<Tiles>(featuresKernel<Tiles, W, From>, "features",
                          dim3(static_cast<unsigned>(s.chunks()), static_cast<unsigned>(s.batch * s.heads)),
                          (1 + kProjectTiles) * Factor<Tiles, W>::kSize * sizeof(Number), stream, s, recipe.kind,
                          projections, in, scale, static_cast<float>(recipe.norm) * scale * scale,
                          keys != nullptr ? *keys : KeyWeights{}, phi);
    });
}

template <typename From, typename Number>
void backwardFrom(const FeatureRecipe& recipe, const FeatureSizes& s, const Variable& x, bool keys, const Number* phi,
                  Number* dPhi, const Out& dx) {
    const From* in = x.value().template onDeviceAs<From>();
    cudaStream_t stream = streamOf(x);
    if (!projects(recipe.kind)) {
        if (dx.data != nullptr)
            overChannels(stream, s, "features, backwards",
                         ElementwiseBack<From, Number>{recipe.kind, in, phi, dPhi, dx});
        return;
    }
    Arena& arena = x.tape().arena();
    const Projections projections = projectionsOf(recipe);
    const auto scale = static_cast<float>(recipe.scale);
    // The squared norm is in the log weight of a key alone.
    const float norm = keys ? static_cast<float>(recipe.norm) * scale * scale : 0.0f;
    const auto heads = static_cast<unsigned>(s.batch * s.heads);
    const bool learned = !recipe.projections[0]->buffer;
    const std::int64_t size = static_cast<std::int64_t>(projections.count) * s.width;
    float* partial = learned ? arena.tensor({s.batch * s.heads, size}).onDeviceAs<float>() : nullptr;
    const auto start = [&]<typename Tiles, int W>() {
        const bool pairs = projections.count < s.features;
        if (dx.data != nullptr || learned)
            startTiles<Tiles>(projectBackKernel<Tiles, W, From>, "features, backwards",
                              dim3(static_cast<unsigned>(s.chunks()), heads),
                              projectBackSize<Tiles, W>(pairs) * sizeof(Number), stream, s, recipe.kind, projections,
                              in, scale, norm, phi, dPhi, learned, dx);
        if (learned)
            startTiles<Tiles>(weightGradientKernel<Tiles, W, From>, "features, weights",
                              dim3(blocksFor(projections.count, kTile), heads),
                              (kTallSize<Tiles, kTile> + kTallSize<Tiles, W>)*sizeof(Number), stream, s,
                              projections.count, in, scale, dPhi, partial);
    };
    withTiles(contextOf(x), s.width, [&]<typename Arithmetic, int W>() {
        if constexpr (std::is_same_v<typename Arithmetic::Number, Number>)
            start.template operator()<typename Arithmetic::template Tiles<1, kTile>, W>();
    });
    if (!learned) return;
    for (int h = 0; h < s.heads; ++h)
        if (const Parameter& p = *recipe.projections[static_cast<std::size_t>(h)]; p.trained())
            sumWeights(stream, s, size, h, partial, p.onDevice.gradient.onDeviceAs<float>());
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

template <typename Number>
void mapBackward(const FeatureRecipe& recipe, const FeatureSizes& s, const Variable& x, bool keys, const Number* phi,
                 Number* dPhi, const Out& dx) {
    if (x.type() == DType::BF16) {
        if constexpr (std::is_same_v<Number, Bf16>) backwardFrom<Bf16>(recipe, s, x, keys, phi, dPhi, dx);
    } else {
        backwardFrom<float>(recipe, s, x, keys, phi, dPhi, dx);
    }
}

template void mapForward(const FeatureRecipe&, const FeatureSizes&, const Variable&, float*, const KeyWeights*);
template void mapForward(const FeatureRecipe&, const FeatureSizes&, const Variable&, Bf16*, const KeyWeights*);
template void mapBackward(const FeatureRecipe&, const FeatureSizes&, const Variable&, bool, const float*, float*,
                          const Out&);
template void mapBackward(const FeatureRecipe&, const FeatureSizes&, const Variable&, bool, const Bf16*, Bf16*,
                          const Out&);

}  // namespace linscope::cuda
