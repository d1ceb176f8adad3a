#include "core/attention/feature_maps_parts.cuh"
#include "core/attention/feature_walk.cuh"

namespace linscope::cuda {
namespace {

using Tiles = Bf16Tiles<1, kTile>;

/// What the gradients of queries are from, or those of keys.
struct Side {
    const Bf16* left;          // [B,T,H,D] g of queries, v of keys
    const Bf16* phi;           // [B,H,T,M]
    const float *state, *sum;  // [B,H,parts,M,D], [B,H,parts,M]: of all tokens in the first part
    In x;                      // [B,T,H,D]
    Out dx;
};

struct BackCall {
    FeatureKind kind;
    Projections projections;
    float scale, norm;
    Side queries, keys;
    const float* delta;  // [B,H,T]
    const float* keep;   // [B,T] or null
    Out dv;
    int ofPart;  ///< chunks of a block
};

template <int W, bool Projects>
constexpr int kBlocks = W > 64     ? 2
                        : Projects ? 3
                                   : 4;  // that a multiprocessor has room for

template <int W, bool Projects>
constexpr std::size_t sharedBytes(int features) {
    const int tiles = (features + kTile - 1) / kTile;
    return sizeof(Bf16) * static_cast<std::size_t>(kTallSize<Tiles, W> * (1 + (Projects ? 2 : 1) * tiles) +
                                                   kTallSize<Tiles, kTile> * tiles);
}

/// Two numbers that lie at a multiple of two.
__device__ float2 twoAt(const Bf16* numbers) {
    const unsigned both = *reinterpret_cast<const unsigned*>(numbers);
    return {__uint_as_float(both << 16), __uint_as_float(both & 0xFFFF0000u)};
}

/// dL/dq or dL/dk of some chunks of a head, and dL/dv with dL/dk. dL/dφ stays in registers. Blocks: parts of a
/// sequence, heads, queries and keys.
template <int W, bool Projects>
__global__ void __launch_bounds__(Tiles::kThreads, kBlocks<W, Projects>)
    inputsBackKernel(FeatureCall<Bf16> call, BackCall back) {
    waitForEarlier();
    constexpr int kWideSize = kTallSize<Tiles, W>, kPhiSize = kTallSize<Tiles, kTile>;
    static_assert(Tiles::kThreads == kMostWalked);
    extern __shared__ float shared[];
    __shared__ float sums[kMostWalked], fades[kTile], weights[kTile];
    const FeatureSizes& s = call.s;
    const int thread = static_cast<int>(threadIdx.x), bh = static_cast<int>(blockIdx.y),
              first = static_cast<int>(blockIdx.x) * back.ofPart, last = min(s.chunks(), first + back.ofPart),
              tiles = (s.features + kTile - 1) / kTile, stride = static_cast<int>(s.stride());
    Bf16 *const left = reinterpret_cast<Bf16*>(shared), *const states = left + kWideSize,
                *const phi = states + tiles * kWideSize, *const directions = phi + tiles * kPhiSize;
    const bool ofKeys = blockIdx.z == 1;
    const Side side = ofKeys ? back.keys : back.queries;
    const std::int64_t stateAt = call.stateAt(bh, 0) * s.features;
    const auto columnsOf = [&](int tile) { return min(kTile, s.features - tile * kTile); };
    const auto load = [&](int chunk) {
        const int t = chunk * kTile, rows = min(kTile, s.length - t);
        loadTile<Tiles, W, kTile>(left, side.left + s.tokenAt(bh, t), stride, rows, s.width);
        for (int tile = 0; tile < tiles; ++tile)
            loadTile<Tiles, kTile, kTile>(phi + tile * kPhiSize, side.phi + s.rowAt(bh, t) * s.features + tile * kTile,
                                          s.features, rows, columnsOf(tile));
    };
    load(first);
    for (int tile = 0; tile < tiles; ++tile) {
        loadTile<Tiles, W, kTile>(states + tile * kWideSize, side.state + (stateAt + tile * kTile) * s.width, s.width,
                                  columnsOf(tile), s.width);
        if constexpr (Projects)
            loadTile<Tiles, W, kTile>(directions + tile * kWideSize,
                                      back.projections.of[bh % s.heads] + tile * kTile * s.width, s.width,
                                      columnsOf(tile), s.width);
    }
    sums[thread] = thread < s.features ? side.sum[stateAt + thread] : 0.0f;
    const float top = call.top[s.rowAt(bh, 0)];
    for (int chunk = first; chunk < last; ++chunk) {
        const int t = chunk * kTile, rows = min(kTile, s.length - t);
        const std::int64_t rowAt = s.rowAt(bh, t), tokenAt = s.tokenAt(bh, t);
        __syncthreads();
        if (chunk > first) load(chunk);
        if (thread < kTile) {
            const int token = bh / s.heads * s.length + t + thread;
            const bool there = thread < rows && (!ofKeys || back.keep == nullptr || back.keep[token] != 0.0f);
            fades[thread] = !there ? 0.0f : ofKeys ? power(call.logWeights[rowAt + thread] - top) : 1.0f;
            weights[thread] = there && !ofKeys ? back.delta[rowAt + thread] : 1.0f;
        }
        finishLoads<Tiles>();
        __syncthreads();
        // Each warp's rows of `left` are its own, and nobody reads them any more.
        const auto store = [&](const Out& out, const float(&own)[Tiles::kRows][Tiles::kWide<W>]) {
            if (out.rounded && !out.add && s.width == W)
                storeStaged<Tiles, W>(reinterpret_cast<Bf16*>(out.data) + tokenAt, stride, rows, left,
                                      [&](int i, int c) { return own[i][c]; });
            else
                storeRows<Tiles, W>(out, tokenAt, stride, rows, s.width, 1.0f, own);
        };
        float dx[Tiles::kRows][Tiles::kWide<W>] = {}, flows[Tiles::kRows] = {};
#pragma unroll 1
        for (int tile = 0; side.dx.data != nullptr && tile < tiles; ++tile) {
            float own[Tiles::kRows][Tiles::kColumns] = {};  // dL/dφ, then dL/du or dL/dx
            Tiles::rowsByRows<W>(left, states + tile * kWideSize, own);
#pragma unroll
            for (int i = 0; i < Tiles::kRows; ++i) {
                const int row = Tiles::row(i);
                const float fade = fades[row], weight = weights[row];
                const std::int64_t at = tokenAt + static_cast<std::int64_t>(row) * stride + tile * kTile;
#pragma unroll
                for (int j = 0; j < Tiles::kColumns; ++j) {
                    const int column = Tiles::column(j);
                    const float2 two = twoAt(phi + tile * kPhiSize + row * Tiles::kScoreStride + column / 2 * 2);
                    const float feature = j % 2 == 0 ? two.x : two.y;
                    float& d = own[i][j];
                    d = fade * (d + weight * sums[tile * kTile + column]);
                    if constexpr (!Projects) {
                        const bool asks = back.kind == FeatureKind::Relu && row < rows && column < columnsOf(tile);
                        d *= elementwiseSlope(back.kind, asks ? side.x[at + column] : 0.0f, feature);
                    } else if (back.kind == FeatureKind::ProjectedRelu) {
                        d = feature > kLeastRelu<Tiles> ? d : 0.0f;
                    } else {
                        d *= feature;
                        flows[i] += d;
                    }
                }
                if constexpr (!Projects && W != kTile)
                    if (row < rows) storePlaces<Tiles>(side.dx, at, columnsOf(tile), [&](int j) { return own[i][j]; });
            }
            if constexpr (Projects)
                Tiles::ownScoresByRows<W>(own, left, directions + tile * kWideSize, dx);
            else if constexpr (W == kTile)
                store(side.dx, own);
        }
        if constexpr (Projects)
            if (side.dx.data != nullptr) {
#pragma unroll
                for (int i = 0; i < Tiles::kRows; ++i) {
                    // The squared norm is in the log weight of a key alone.
                    const float along = ofKeys ? 2.0f * back.norm * Tiles::rowSum(flows[i]) : 0.0f;
                    const std::int64_t at = tokenAt + static_cast<std::int64_t>(Tiles::row(i)) * stride;
#pragma unroll
                    for (int c = 0; c < Tiles::kWide<W>; c += 2) {
                        const int column = Tiles::column(c);
                        const bool there = along != 0.0f && Tiles::row(i) < rows && column < s.width;
                        const float2 x = there ? side.x.two(at + column) : float2{};
                        dx[i][c] = back.scale * dx[i][c] + along * x.x;
                        dx[i][c + 1] = back.scale * dx[i][c + 1] + along * x.y;
                    }
                }
                store(side.dx, dx);
            }
        if (ofKeys && back.dv.data != nullptr) {
            float dv[Tiles::kRows][Tiles::kWide<W>] = {};
            for (int tile = 0; tile < tiles; ++tile)
                Tiles::scoresByRows<W>(phi + tile * kPhiSize, states + tile * kWideSize, dv);
#pragma unroll
            for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
                for (float& number : dv[i]) number *= fades[Tiles::row(i)];
            store(back.dv, dv);
        }
    }
}

}  // namespace

bool backInOnePass(const KeptFeatures<Bf16>& kept) {
    const FeatureRecipe& recipe = kept.recipe;
    const FeatureSizes& s = kept.call.s;
    if (!kept.walks || kept.call.causal || s.width % 8 != 0) return false;
    if (!projects(recipe.kind)) return true;
    const Parameter& first = *recipe.projections[0];
    return first.buffer && first.value.shape()[0] == s.features;
}

void inputsBackward(const KeptFeatures<Bf16>& kept, const Upstream<Bf16>& up) {
    const FeatureCall<Bf16>& call = kept.call;
    const FeatureSizes& s = call.s;
    const FeatureRecipe& recipe = kept.recipe;
    DeviceContext& context = contextOf(kept.o);
    const auto scale = static_cast<float>(recipe.scale);
    BackCall back{.kind = recipe.kind,
                  .scale = scale,
                  .norm = static_cast<float>(recipe.norm) * scale * scale,
                  .queries = {up.g, call.phiQ, call.state, call.sum, inOf(kept.q.value()), outOf(kept.q)},
                  .keys = {call.v, call.phiK, up.state, up.sum, inOf(kept.k.value()), outOf(kept.k)},
                  .delta = up.delta,
                  .keep = kept.keep,
                  .dv = outOf(kept.v)};
    const auto start = [&]<int W, bool Projects>() {
        // As many blocks as there is room for at once, so that states are loaded as seldom.
        const auto heads = static_cast<unsigned>(s.batch * s.heads), chunks = static_cast<unsigned>(s.chunks()),
                   ofPart = blocksFor(chunks, blocksFor(kBlocks<W, Projects> * context.processors(), 2 * heads));
        back.ofPart = static_cast<int>(ofPart);
        startTiles<Tiles>(inputsBackKernel<W, Projects>, "feature attention, backwards",
                          dim3(blocksFor(chunks, ofPart), heads, 2), sharedBytes<W, Projects>(s.features),
                          context.stream(), call, back);
    };
    withWidth<Bf16Arithmetic>(s.width, [&]<typename, int W>() {
        if (projects(recipe.kind)) {
            back.projections = projectionsOf(recipe);
            start.template operator()<W, true>();
        } else {
            start.template operator()<W, false>();
        }
    });
}

}  // namespace linscope::cuda
