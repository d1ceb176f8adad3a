#pragma once

#include <algorithm>

#include "core/attention/feature_attention.h"
#include "core/attention/feature_maps.cuh"

// What both passes of feature attention on a device share: feature_attention_cuda.cu has the forward,
// feature_back_cuda.cu the backward one.

namespace linscope::cuda {

/// Tiles of chunks are square.
template <typename Arithmetic>
using SquareTiles = typename Arithmetic::template Tiles<1, kTile>;
template <typename Tiles>
inline constexpr int kSquareSize = kTallSize<Tiles, kTile>;

/// What both passes know of one call, by value. Chunks are kTile tokens.
template <typename Number>
struct FeatureCall {
    FeatureSizes s;
    bool causal, rms;
    const Number *phiQ, *phiK;  // [B,H,T,M]
    const Number* v;            // [B,T,H,D]
    float* logWeights;          // [B,H,T] log weight c of each key, with the decay counted from its chunk's start
    float* top;                 // [B,H,T] greatest log weight among the keys that a query sees
    float* divisor;             // [B,H,T] of each query's row
    int parts = 1, ofPart = 1;  // of a sequence, of so many chunks each
    float *state, *sum;         // [B,H,parts,M,D], [B,H,parts,M]: of the keys before each; of all, in the first place
    float slopes[kMostFeatureHeads];

    __device__ std::int64_t stateAt(int bh, int chunk) const {
        return static_cast<std::int64_t>(bh) * parts + (causal ? chunk / ofPart : 0);
    }
    /// The maximum with which the state comes into a chunk, counted from the chunk's start; and that of its last token.
    __device__ float topBefore(int bh, int chunk) const {
        if (!causal) return top[s.rowAt(bh, 0)];
        return chunk == 0 ? kNothing : top[s.rowAt(bh, chunk * kTile) - 1] - slopes[bh % s.heads] * kTile;
    }
    __device__ float topAfter(int bh, int chunk) const {
        return top[s.rowAt(bh, min(s.length, (chunk + 1) * kTile) - 1)];
    }
    /// By how much a state fades as it passes a chunk.
    __device__ float decay(int bh, int chunk) const { return power(topBefore(bh, chunk) - topAfter(bh, chunk)); }
};

/// What is summed over the tokens of a chunk: phi_tᵀ·y_t·w_t and phi_t·w_t·u_t.
template <typename Number>
struct Summand {
    const Number* phi;   // [B,H,T,M]
    const Number* y;     // [B,T,H,D]
    const float* delta;  // [B,H,T], or null: u = 1
    bool queries;        ///< w = e^(before − top_t); of keys e^(c_t − after)
    float *state, *sum;  // of the chunk
};

template <typename Tiles, int W>
inline constexpr int kStateSize = kSquareSize<Tiles> + kTallSize<Tiles, W>;

/// The sums of a part's chunks. Blocks: parts, heads, tiles of M.
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads)
    partStateKernel(FeatureCall<typename Tiles::Number> call, Summand<typename Tiles::Number> summand) {
    waitForEarlier();
    using Number = typename Tiles::Number;
    extern __shared__ float shared[];
    __shared__ float weights[kTile];
    Number *p = reinterpret_cast<Number*>(shared), *y = p + kSquareSize<Tiles>;
    const FeatureSizes& s = call.s;
    const int part = static_cast<int>(blockIdx.x), bh = static_cast<int>(blockIdx.y),
              first = static_cast<int>(blockIdx.z) * kTile, columns = min(kTile, s.features - first),
              m = static_cast<int>(threadIdx.x);
    float state[Tiles::kRows][Tiles::template kWide<W>] = {}, sum = 0;
    const int begin = part * call.ofPart, count = min(s.chunks() - begin, call.ofPart);
    for (int n = 0; n < count; ++n) {
        const int chunk = call.causal && summand.queries ? begin + count - 1 - n : begin + n;
        if (call.causal && n > 0) {
            const float decay = call.decay(bh, chunk);
            sum *= decay;
#pragma unroll
            for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
                for (int c = 0; c < Tiles::template kWide<W>; ++c) state[i][c] *= decay;
        }
        const int t = chunk * kTile, rows = min(kTile, s.length - t);
        const std::int64_t rowAt = s.rowAt(bh, t);
        __syncthreads();
        if (m < kTile) {
            if (m >= rows)
                weights[m] = 0.0f;
            else if (summand.queries)
                weights[m] = power(call.topBefore(bh, chunk) - call.top[rowAt + m]);
            else
                weights[m] =
                    power(call.logWeights[rowAt + m] - (call.causal ? call.topAfter(bh, chunk) : call.top[rowAt]));
        }
        loadTile<Tiles, kTile, kTile>(p, summand.phi + rowAt * s.features + first, s.features, rows, columns);
        loadTile<Tiles, W, kTile>(y, summand.y + s.tokenAt(bh, t), s.stride(), rows, s.width);
        finishLoads<Tiles>();
        __syncthreads();
        for (int i = m; i < kTile * kTile / 4; i += Tiles::kThreads) {
            Number* place = p + i / (kTile / 4) * Tiles::kScoreStride + i % (kTile / 4) * 4;
            const float weight = weights[i / (kTile / 4)];
            const float4 four = readFour(place);
            writeFour(place, {Tiles::rounded(four.x * weight), Tiles::rounded(four.y * weight),
                              Tiles::rounded(four.z * weight), Tiles::rounded(four.w * weight)});
        }
        __syncthreads();
        Tiles::template columnsByRows<W>(p, y, state);
        if (m < columns) {
            float parts[4] = {};
#pragma unroll 4
            for (int row = 0; row < kTile; ++row)  // p is 0 beyond the last row
                parts[row % 4] += toFloat(p[row * Tiles::kScoreStride + m]) *
                                  (summand.delta != nullptr && row < rows ? summand.delta[rowAt + row] : 1.0f);
            sum += (parts[0] + parts[1]) + (parts[2] + parts[3]);
        }
    }
    const std::int64_t at = static_cast<std::int64_t>(bh) * call.parts + part;
    storeRows<Tiles, W>({summand.state}, (at * s.features + first) * s.width, s.width, columns, s.width, 1.0f, state);
    if (m < columns) summand.sum[at * s.features + first + m] = sum;
}

/// From each part's own sums to those of all parts before it (of all after it, with `backwards`), or, if not causal, to
/// those of all in the first one's place. One thread for each number of a head's state and of the sum beside it.
template <typename Number>
void scan(cudaStream_t stream, const FeatureCall<Number>& call, float* state, float* sum, bool backwards) {
    const int ofState = call.s.features * call.s.width, ofHead = ofState + call.s.features;
    forEach(stream, static_cast<std::int64_t>(call.s.batch) * call.s.heads * ofHead, "feature attention",
            [=] __device__(std::int64_t i) {
                const int number = static_cast<int>(i), bh = number / ofHead, place = number % ofHead,
                          parts = call.parts;
                const bool inState = place < ofState;
                const std::int64_t size = inState ? ofState : call.s.features;
                float* own = (inState ? state + place : sum + place - ofState) + bh * parts * size;
                float running = 0;
                if (!call.causal) {
#pragma unroll 8
                    for (int part = 0; part < parts; ++part) running += own[part * size];
                    own[0] = running;
                    return;
                }
                for (int n = 0; n < parts; ++n) {
                    const int part = backwards ? parts - 1 - n : n, begin = part * call.ofPart;
                    const float next = own[part * size];
                    own[part * size] = running;
                    for (int chunk = begin; chunk < min(call.s.chunks(), begin + call.ofPart); ++chunk)
                        running *= call.decay(bh, chunk);
                    running += next;
                }
            });
}

/// a_ij·e^(c_j − top_i) of this thread's places, and 0 for keys of the future.
template <typename Tiles>
__device__ void weighAndMask(const FeatureCall<typename Tiles::Number>& call, std::int64_t rowAt, int rows,
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

template <typename Tiles, int W>
inline constexpr int kOutputSize = 2 * kSquareSize<Tiles> + kTallSize<Tiles, W>;

/// The sums over each part by walks (feature_walk.cuh), for as many features as those take.
void sumParts(DeviceContext& context, const FeatureCall<Bf16>& call, const Summand<Bf16>& summand);

/// The sums over each part, then over parts.
template <typename Tiles, int W>
void sumStates(DeviceContext& context, const FeatureCall<typename Tiles::Number>& call, bool walks,
               const Summand<typename Tiles::Number>& summand, bool backwards) {
    const FeatureSizes& s = call.s;
    if constexpr (std::is_same_v<typename Tiles::Number, Bf16>)
        if (walks) sumParts(context, call, summand);
    if (!walks)
        startTiles<Tiles>(partStateKernel<Tiles, W>, "feature attention",
                          dim3(static_cast<unsigned>(call.parts), static_cast<unsigned>(s.batch * s.heads),
                               blocksFor(s.features, kTile)),
                          kStateSize<Tiles, W> * sizeof(typename Tiles::Number), context.stream(), call, summand);
    scan(context.stream(), call, summand.state, summand.sum, backwards);
}

/// Everything that the backward pass needs; lives in the tape's arena.
template <typename Number>
struct KeptFeatures {
    FeatureCall<Number> call;
    bool walks = false;  // over the chunks: feature_walk.cuh
    FeatureRecipe recipe;
    Variable q, k, v, o;
    const float* keep;
};

/// What the backward pass begins with.
template <typename Number>
struct Upstream {
    const Number* g;           // [B,T,H,D] dL/d(Σ_j a_ij·v_j)
    const float* delta;        // [B,H,T] dL/d(Σ_j a_ij)
    const float *state, *sum;  // R and its sum: of the queries after each chunk, laid out as the call's state
};

/// Tensors of the type that tiles are made of.
template <typename Number>
Number* takeNumbers(Arena& arena, const Shape& shape) {
    return arena.tensor(shape, dtypeOf<Number>).template onDeviceAs<Number>();
}

/// The gradients of featureAttention() from o's.
template <typename Number>
void featureBackward(const KeptFeatures<Number>& kept);

/// Gradients of q, k and v as one kernel, in which dL/dφ never reaches memory: where every token sees all, of features
/// that are those of elements or of one projection each that is not learned.
bool backInOnePass(const KeptFeatures<Bf16>& kept);
void inputsBackward(const KeptFeatures<Bf16>& kept, const Upstream<Bf16>& up);

}  // namespace linscope::cuda
