#include "core/attention/feature_maps_parts.cuh"

namespace linscope::cuda {
namespace {

template <typename From, typename Number>
struct ElementwiseBack {
    FeatureKind kind;
    const From* x;
    const Number *phi, *dPhi;
    Out dx;
    __device__ float slope(float value, float feature) const { return elementwiseSlope(kind, value, feature); }
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

/// dL/du from dL/dφ and φ, and from those of the second half where there is one, and what it adds to dL/d(log weight):
/// by selection, since numbers of a tile go through it one by one.
template <typename Tiles>
__device__ float activateBack(FeatureKind kind, float f, float d, float second, float dSecond, float& flow) {
    const bool waves = kind == FeatureKind::Trigonometric, relu = kind == FeatureKind::ProjectedRelu;
    flow += relu ? 0.0f : d * f + dSecond * second;
    const float du = (waves ? dSecond : d) * f - (waves ? d : dSecond) * second;
    return relu ? (f > kLeastRelu<Tiles> ? d : 0.0f) : du;
}

/// Of φ and dφ a tile each, and of W, and where there are second halves, of those.
template <typename Tiles, int W>
constexpr int projectBackSize(bool pairs) {
    return (pairs ? 4 : 2) * kTallSize<Tiles, kTile> + kTallSize<Tiles, W>;
}

/// Blocks that a multiprocessor has shared memory for.
template <typename Tiles, int W>
constexpr int kProjectBackBlocks = std::is_same_v<typename Tiles::Number, Bf16>&& W <= 64 ? 8 : 1;

/// dx (+)= scale·du·W + along·x, where `along` is what x gets through its squared norm. Where the projections are
/// learned, du takes the place of the first half of dφ. Blocks: tiles of T, heads.
template <typename Tiles, int W, typename From>
__global__ void __launch_bounds__(Tiles::kThreads, kProjectBackBlocks<Tiles, W>)
    projectBackKernel(FeatureSizes s, FeatureKind kind, Projections projections, const From* x, float scale, float norm,
                      const typename Tiles::Number* phi, typename Tiles::Number* dPhi, bool learned, Out dx) {
    waitForEarlier();
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
#pragma unroll 4
        for (int n = 0; n < kTile * kFours / Tiles::kThreads; ++n) {
            const int i = thread + n * Tiles::kThreads;
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
    constexpr int kPlaces = Tiles::template kWide<W>;
    const bool even = s.width % 2 == 0;
    const In in{x, std::is_same_v<From, Bf16>};
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) {
        const int row = Tiles::row(i);
        if (row >= rows) continue;
        const std::int64_t at = s.tokenAt(bh, t + row);
        const float along = 2.0f * norm * flows[row];
        float2 own[kPlaces / 2]{};  // all of them on their way before the first is waited for
#pragma unroll
        for (int c = 0; c < kPlaces; c += 2) {
            const int column = Tiles::template wide<W>(c);
            if (even && column < s.width)
                own[c / 2] = in.two(at + column);
            else if (column < s.width)
                own[c / 2] = {toFloat(x[at + column]), column + 1 < s.width ? toFloat(x[at + column + 1]) : 0.0f};
        }
#pragma unroll
        for (int c = 0; c < kPlaces; c += 2) {
            const int column = Tiles::template wide<W>(c);
            const float one = scale * gradient[i][c] + along * own[c / 2].x,
                        two = scale * gradient[i][c + 1] + along * own[c / 2].y;
            if (column >= s.width) continue;
            if (even) {
                dx.putTwo(at + column, one, two);
            } else {
                dx.put(at + column, one);
                if (column + 1 < s.width) dx.put(at + column + 1, two);
            }
        }
    }
}

/// partial [B·H,P,D] = scale·Σ_t du_t·x_tᵀ. Blocks: tiles of P, heads.
template <typename Tiles, int W, typename From>
__global__ void __launch_bounds__(Tiles::kThreads)
    weightGradientKernel(FeatureSizes s, int count, const From* x, float scale, const typename Tiles::Number* du,
                         float* partial) {
    waitForEarlier();
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
void mapBackward(const FeatureRecipe& recipe, const FeatureSizes& s, const Variable& x, bool keys, const Number* phi,
                 Number* dPhi, const Out& dx) {
    if (x.type() == DType::BF16) {
        if constexpr (std::is_same_v<Number, Bf16>) backwardFrom<Bf16>(recipe, s, x, keys, phi, dPhi, dx);
    } else {
        backwardFrom<float>(recipe, s, x, keys, phi, dPhi, dx);
    }
}

template void mapBackward(const FeatureRecipe&, const FeatureSizes&, const Variable&, bool, const float*, float*,
                          const Out&);
template void mapBackward(const FeatureRecipe&, const FeatureSizes&, const Variable&, bool, const Bf16*, Bf16*,
                          const Out&);

}  // namespace linscope::cuda
