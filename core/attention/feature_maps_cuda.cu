#include "core/attention/feature_maps.cuh"
#include "core/attention/projected_features.h"

namespace linscope::cuda {
namespace {

using Kind = FeatureRecipe::Kind;
constexpr int kRowsOfBlock = 4;  // a warp each

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

void elementwise(cudaStream_t stream, Kind kind, const FeatureSizes& s, const float* x, float* phi,
                 const KeyWeights* keys) {
    const float* keep = keys != nullptr ? keys->keep : nullptr;
    forEach(stream, s.rows() * s.width, "features", [=] __device__(std::int64_t i) {
        const int d = static_cast<int>(i % s.width);
        const std::int64_t row = i / s.width;
        const int t = static_cast<int>(row % s.length), bh = static_cast<int>(row / s.length);
        const float value = x[s.tokenAt(bh, t) + d];
        const bool there = keep == nullptr || keep[bh / s.heads * s.length + t] != 0.0f;
        phi[i] = !there               ? 0.0f
                 : kind == Kind::Relu ? fmaxf(value, 0.0f) + static_cast<float>(kReluFloor)
                                      : (value >= 0.0f ? value + 1.0f : expf(value));
    });
}

void elementwiseBack(cudaStream_t stream, Kind kind, const FeatureSizes& s, const float* x, const float* phi,
                     const float* dPhi, const Out& dx) {
    forEach(stream, s.rows() * s.width, "features, backwards", [=] __device__(std::int64_t i) {
        const int d = static_cast<int>(i % s.width);
        const std::int64_t row = i / s.width;
        const std::int64_t at = s.tokenAt(static_cast<int>(row / s.length), static_cast<int>(row % s.length)) + d;
        const float slope = kind == Kind::Relu ? (x[at] > 0.0f ? 1.0f : 0.0f) : fminf(phi[i], 1.0f);
        dx.put(at, slope * dPhi[i]);
    });
}

template <int W>
constexpr int kProjectFloats = 2 * kTileSize<W>;

/// u = scale·x·Wᵀ into the first P features of each row. Blocks: tiles of P, tiles of T, heads.
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads)
    projectKernel(FeatureSizes s, Projections projections, const float* x, float scale, float* phi) {
    extern __shared__ float shared[];
    float *rows = shared, *w = shared + kTileSize<W>;
    const int first = static_cast<int>(blockIdx.x) * kTile, t = static_cast<int>(blockIdx.y) * kTile,
              bh = static_cast<int>(blockIdx.z);
    loadTile<Tiles, W>(rows, x + s.tokenAt(bh, t), s.stride(), min(kTile, s.length - t), s.width);
    loadTile<Tiles, W>(w, projections.of[bh % s.heads] + static_cast<std::int64_t>(first) * s.width, s.width,
                       min(kTile, projections.count - first), s.width);
    __syncthreads();
    float u[Tiles::kRows][Tiles::kColumns] = {};
    Tiles::template rowsByRows<W>(rows, w, u);
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
        for (int j = 0; j < Tiles::kColumns; ++j)
            if (t + Tiles::row(i) < s.length && first + Tiles::column(j) < projections.count)
                phi[s.rowAt(bh, t + Tiles::row(i)) * s.features + first + Tiles::column(j)] = scale * u[i][j];
}

/// From u to φ̃ and, of keys, the log weights: a warp for each row.
__global__ void activateKernel(FeatureSizes s, Kind kind, int count, const float* x, float norm, bool weighted,
                               KeyWeights keys, float* phi) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRowsOfBlock + threadIdx.y;
    if (row >= s.rows()) return;
    const int t = static_cast<int>(row % s.length), bh = static_cast<int>(row / s.length),
              lane = static_cast<int>(threadIdx.x);
    float *u = phi + row * s.features, *second = u + count;
    const bool there = keys.keep == nullptr || keys.keep[bh / s.heads * s.length + t] != 0.0f;
    float top = 0.0f;
    if (kind == Kind::Positive || kind == Kind::Hyperbolic) {
        top = -INFINITY;
        for (int p = lane; p < count; p += static_cast<int>(kWarp))
            top = fmaxf(top, kind == Kind::Positive ? u[p] : fabsf(u[p]));
        top = warpMax(top);
    }
    for (int p = lane; p < count; p += static_cast<int>(kWarp)) {
        const float value = u[p];
        switch (kind) {
            case Kind::Positive:
                u[p] = expf(value - top);
                break;
            case Kind::Hyperbolic:
                u[p] = expf(value - top);
                second[p] = expf(-value - top);
                break;
            case Kind::Trigonometric:
                u[p] = cosf(value);
                second[p] = sinf(value);
                break;
            default:
                u[p] = fmaxf(value, 0.0f) + static_cast<float>(kReluFloor);
        }
        if (there) continue;
        u[p] = 0.0f;
        if (count < s.features) second[p] = 0.0f;
    }
    if (keys.logWeights == nullptr) return;
    float squares = 0.0f;
    for (int d = lane; d < s.width; d += static_cast<int>(kWarp)) {
        const float value = x[s.tokenAt(bh, t) + d];
        squares += value * value;
    }
    squares = warpSum(squares);
    const float own = weighted ? top + norm * squares : 0.0f;
    if (lane == 0)
        keys.logWeights[row] = there ? own + keys.slopes[bh % s.heads] * static_cast<float>(t % kTile) : kNothing;
}

void plainWeights(cudaStream_t stream, const FeatureSizes& s, const KeyWeights& keys) {
    forEach(stream, s.rows(), "log weights", [=] __device__(std::int64_t row) {
        const int t = static_cast<int>(row % s.length), bh = static_cast<int>(row / s.length);
        const bool there = keys.keep == nullptr || keys.keep[bh / s.heads * s.length + t] != 0.0f;
        keys.logWeights[row] = there ? keys.slopes[bh % s.heads] * static_cast<float>(t % kTile) : kNothing;
    });
}

/// du in place of the first half of dφ, and along [B,H,T]: what x gets through its squared norm.
__global__ void activateBackKernel(FeatureSizes s, Kind kind, int count, float norm, bool keys, const float* phi,
                                   float* dPhi, float* along) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRowsOfBlock + threadIdx.y;
    if (row >= s.rows()) return;
    const float *f = phi + row * s.features, *second = f + count;
    float *d = dPhi + row * s.features, *dSecond = d + count;
    float flow = 0.0f;  // dL/d(log weight)
    for (int p = static_cast<int>(threadIdx.x); p < count; p += static_cast<int>(kWarp)) {
        switch (kind) {
            case Kind::Positive:
                d[p] *= f[p];
                flow += d[p];
                break;
            case Kind::Hyperbolic:
                flow += d[p] * f[p] + dSecond[p] * second[p];
                d[p] = d[p] * f[p] - dSecond[p] * second[p];
                break;
            case Kind::Trigonometric:
                flow += d[p] * f[p] + dSecond[p] * second[p];
                d[p] = dSecond[p] * f[p] - d[p] * second[p];
                break;
            default:
                d[p] = f[p] > static_cast<float>(kReluFloor) ? d[p] : 0.0f;
        }
    }
    flow = warpSum(flow);
    if (threadIdx.x == 0) along[row] = keys ? 2.0f * norm * flow : 0.0f;
}

template <int W>
constexpr int kProjectBackFloats = kScoreSize + kTileSize<W>;

/// dx (+)= scale·du·W + along·x. Blocks: tiles of T, heads.
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads)
    projectBackKernel(FeatureSizes s, Projections projections, const float* x, float scale, const float* du,
                      const float* along, Out dx) {
    extern __shared__ float shared[];
    float *p = shared, *w = shared + kScoreSize;
    const int t = static_cast<int>(blockIdx.x) * kTile, bh = static_cast<int>(blockIdx.y),
              rows = min(kTile, s.length - t);
    float gradient[Tiles::kRows][Tiles::template kWide<W>] = {};
    for (int first = 0; first < projections.count; first += kTile) {
        const int count = min(kTile, projections.count - first);
        __syncthreads();
        loadTile<Tiles, kTile>(p, du + s.rowAt(bh, t) * s.features + first, s.features, rows, count);
        loadTile<Tiles, W>(w, projections.of[bh % s.heads] + static_cast<std::int64_t>(first) * s.width, s.width, count,
                           s.width);
        __syncthreads();
        Tiles::template scoresByRows<W>(p, w, gradient);
    }
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
        for (int c = 0; c < Tiles::template kWide<W>; ++c) {
            const int row = t + Tiles::row(i), d = Tiles::template wide<W>(c);
            if (row >= s.length || d >= s.width) continue;
            const std::int64_t at = s.tokenAt(bh, row) + d;
            dx.put(at, scale * gradient[i][c] + along[s.rowAt(bh, row)] * x[at]);
        }
}

template <int W>
constexpr int kWeightFloats = kScoreSize + kTileSize<W>;

/// partial [B·H,P,D] = scale·Σ_t du_t·x_tᵀ. Blocks: tiles of P, heads.
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads)
    weightGradientKernel(FeatureSizes s, int count, const float* x, float scale, const float* du, float* partial) {
    extern __shared__ float shared[];
    float *p = shared, *rows = shared + kScoreSize;
    const int first = static_cast<int>(blockIdx.x) * kTile, bh = static_cast<int>(blockIdx.y);
    float gradient[Tiles::kRows][Tiles::template kWide<W>] = {};
    for (int t = 0; t < s.length; t += kTile) {
        const int there = min(kTile, s.length - t);
        __syncthreads();
        loadTile<Tiles, kTile>(p, du + s.rowAt(bh, t) * s.features + first, s.features, there,
                               min(kTile, count - first));
        loadTile<Tiles, W>(rows, x + s.tokenAt(bh, t), s.stride(), there, s.width);
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

}  // namespace

void mapForward(const FeatureRecipe& recipe, const FeatureSizes& s, const Variable& x, float* phi,
                const KeyWeights* keys) {
    const float* in = x.value().onDeviceAs<float>();
    cudaStream_t stream = streamOf(x);
    if (!projects(recipe.kind)) {
        elementwise(stream, recipe.kind, s, in, phi, keys);
        if (keys != nullptr) plainWeights(stream, s, *keys);
        return;
    }
    const Projections projections = projectionsOf(recipe);
    const dim3 blocks(blocksFor(projections.count, kTile), static_cast<unsigned>(s.chunks()),
                      static_cast<unsigned>(s.batch * s.heads));
    // In single precision always: an exponential magnifies what rounding does to its exponent, and a ReLU forgets it.
    LINSCOPE_START_WITH(ExactTiles, contextOf(x), s.width, projectKernel, kProjectFloats, blocks, s, projections, in,
                        static_cast<float>(recipe.scale), phi);
    activateKernel<<<blocksFor(s.rows(), kRowsOfBlock), dim3(kWarp, kRowsOfBlock), 0, stream>>>(
        s, recipe.kind, projections.count, in, static_cast<float>(recipe.norm * recipe.scale * recipe.scale),
        recipe.kind != Kind::ProjectedRelu, keys != nullptr ? *keys : KeyWeights{}, phi);
    checkLaunch("features");
}

void mapBackward(const FeatureRecipe& recipe, const FeatureSizes& s, const Variable& x, bool keys, const float* phi,
                 float* dPhi, const Out& dx) {
    const float* in = x.value().onDeviceAs<float>();
    cudaStream_t stream = streamOf(x);
    if (!projects(recipe.kind)) {
        if (dx.data != nullptr) elementwiseBack(stream, recipe.kind, s, in, phi, dPhi, dx);
        return;
    }
    Arena& arena = x.tape().arena();
    const Projections projections = projectionsOf(recipe);
    const auto scale = static_cast<float>(recipe.scale);
    float* along = arena.tensor({s.rows()}).onDeviceAs<float>();
    activateBackKernel<<<blocksFor(s.rows(), kRowsOfBlock), dim3(kWarp, kRowsOfBlock), 0, stream>>>(
        s, recipe.kind, projections.count, static_cast<float>(recipe.norm) * scale * scale, keys, phi, dPhi, along);
    checkLaunch("features, backwards");
    const auto heads = static_cast<unsigned>(s.batch * s.heads);
    if (dx.data != nullptr) {
        const dim3 blocks(static_cast<unsigned>(s.chunks()), heads);
        LINSCOPE_START_TILES(contextOf(x), s.width, projectBackKernel, kProjectBackFloats, blocks, s, projections, in,
                             scale, dPhi, along, dx);
    }
    if (recipe.projections[0]->buffer) return;
    const std::int64_t size = static_cast<std::int64_t>(projections.count) * s.width;
    float* partial = arena.tensor({s.batch * s.heads, size}).onDeviceAs<float>();
    const dim3 blocks(blocksFor(projections.count, kTile), heads);
    LINSCOPE_START_TILES(contextOf(x), s.width, weightGradientKernel, kWeightFloats, blocks, s, projections.count, in,
                         scale, dPhi, partial);
    for (int h = 0; h < s.heads; ++h)
        if (const Parameter& p = *recipe.projections[static_cast<std::size_t>(h)]; p.trained())
            sumWeights(stream, s, size, h, partial, p.onDevice.gradient.onDeviceAs<float>());
}

}  // namespace linscope::cuda
