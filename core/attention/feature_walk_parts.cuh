#pragma once

#include "core/attention/feature_walk.cuh"

// What the walks over chunks (feature_walk_cuda.cu) and the sums that their parts begin with (feature_sums_cuda.cu)
// share.

namespace linscope::cuda::walk {

using Tiles = Bf16Tiles<1, kTile>;
inline constexpr int kSliceStride = Tiles::kStride<kTile>, kWarps = Tiles::kThreads / 32, kOfWarp = kTile / kWarps;

/// What a walk needs to know of a chunk's tokens, in shared memory: twice, so that the next chunk's are written while
/// these are read.
struct Tokens {
    float top[kTile], log[kTile], delta[kTile];
    float fade[kTile];   ///< of a row, of what comes with the state
    Bf16 weight[kTile];  ///< of a column, in the state
};

/// The sums beside the state, of one number for each of its columns or rows.
template <int A>
struct Sums {
    static constexpr int kMost = std::max(A, kTile), kParts = 2 * Tiles::kThreads / std::min(A, kTile);
    float whole[kMost], parts[kParts][kMost];
    Bf16 halves[2][A];  ///< `whole` rounded, and what rounding has left

    template <bool Halves>
    __device__ void set(int i, float value) {
        whole[i] = value;
        if constexpr (Halves) {
            const Bf16 half = toBf16(value);
            halves[0][i] = half;
            halves[1][i] = toBf16(value - toFloat(half));
        }
    }
};

template <int A>
constexpr int kStageSize = 2 * kTile* Tiles::kStride<A> + kTile* kSliceStride;
template <int A>
constexpr std::size_t kWalkBytes = (2 * kStageSize<A> + kTile * kSliceStride) * sizeof(Bf16);

/// parts[p][c] = Σ_r weight_r·delta_r·x[r][c] over rows r of group p; x of `Columns` columns, two for each thread.
template <int Columns, int Most, int Parts>
__device__ void sumRows(const Bf16* x, int stride, const Tokens& tokens, bool deltas, float (&parts)[Parts][Most]) {
    constexpr int kPairs = Columns / 2, kGroups = Tiles::kThreads / kPairs;
    static_assert(kGroups <= Parts);
    const int pair = static_cast<int>(threadIdx.x) % kPairs, group = static_cast<int>(threadIdx.x) / kPairs;
    float2 sum{};
#pragma unroll 8
    for (int row = group; row < kTile; row += kGroups) {
        const unsigned both = *reinterpret_cast<const unsigned*>(x + row * stride + 2 * pair);
        const float weight = toFloat(tokens.weight[row]) * (deltas ? tokens.delta[row] : 1.0f);
        sum.x += weight * __uint_as_float(both << 16);
        sum.y += weight * __uint_as_float(both & 0xFFFF0000u);
    }
    parts[group][2 * pair] = sum.x;
    parts[group][2 * pair + 1] = sum.y;
}

/// What a walk is of, as constants.
template <WalkOf Of>
struct Kind {
    static constexpr bool kOutput = Of == WalkOf::Output,
                          kBackwards = Of == WalkOf::KeyFeatures || Of == WalkOf::Values,
                          kFeatures = Of == WalkOf::QueryFeatures || Of == WalkOf::KeyFeatures,
                          kSums = Of != WalkOf::Values, kRowDelta = Of == WalkOf::QueryFeatures,
                          kColumnDelta = Of == WalkOf::KeyFeatures;
    template <int A>
    static constexpr int kSummed = kOutput ? A : kTile;  // numbers that are summed beside the state
};

/// A thread's place in its block.
struct Lane {
    int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32, g = lane / 4, t = lane % 4;
    int column = warp * kOfWarp;  ///< the first of the warp's own, in the block's slice
};

/// The transpose of the block's slice of a state: rows are the warp's own columns of the values, g and g + 8; of the
/// other axis a thread has 8n + 2t and 8n + 2t + 1.
template <int A>
using State = float[A / 8][4];

/// state ← decay·state + Σ_r weight_r·values_rᵀ·right_r over a chunk's rows r.
template <int A>
__device__ void addChunk(const Bf16* values, const Bf16* right, const Tokens& tokens, float decay, State<A>& state) {
    const Lane l;
#pragma unroll
    for (int n = 0; n < A / 8; ++n)
#pragma unroll
        for (float& number : state[n]) number *= decay;
#pragma unroll
    for (int k = 0; k < kTile; k += 16) {
        unsigned weighted[4];
        loadMatricesTransposed(
            weighted, values + (k + l.lane / 16 * 8 + l.lane % 8) * kSliceStride + l.column + l.lane / 8 % 2 * 8);
        const unsigned* weights = reinterpret_cast<const unsigned*>(tokens.weight + k);
#pragma unroll
        for (int i = 0; i < 4; ++i) weighted[i] = multiplyPairs(weighted[i], weights[l.t + i / 2 * 4]);
#pragma unroll
        for (int a = 0; a < A / 16; ++a) {
            unsigned factors[4];
            Tiles::rightColumns(factors, right, Tiles::kStride<A>, k, 16 * a);
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                float(&c)[4] = state[2 * a + half];
                multiplyBf16(weighted, factors[2 * half], factors[2 * half + 1], c[0], c[1], c[2], c[3]);
            }
        }
    }
}

/// A chunk's numbers by token as they come from memory, and what a state fades by.
template <WalkOf Of>
struct Reader {
    float top = 0, log = 0, delta = 0, before = 0, after = 0;

    /// Begins to read.
    __device__ void read(const FeatureCall<Bf16>& call, const Walk& walk, int bh, int chunk) {
        const int thread = static_cast<int>(threadIdx.x), token = chunk * kTile + thread;
        const bool there = thread < kTile && token < call.s.length;
        const std::int64_t row = call.s.rowAt(bh, token);
        after = call.causal ? call.topAfter(bh, chunk) : call.top[call.s.rowAt(bh, 0)];
        before = call.topBefore(bh, chunk);
        top = there ? call.top[row] : -kNothing;        // nothing weighs anything for a row that is not there,
        log = there ? call.logWeights[row] : kNothing;  // nor does it for others
        if (Kind<Of>::kRowDelta || Kind<Of>::kColumnDelta) delta = there ? walk.delta[row] : 0.0f;
    }
    __device__ void write(Tokens& tokens) const {
        const auto thread = threadIdx.x;
        if (thread >= kTile) return;
        const float ofKey = power(log - after), ofQuery = power(before - top);
        tokens.top[thread] = top;
        tokens.log[thread] = log;
        tokens.delta[thread] = delta;
        tokens.fade[thread] = Kind<Of>::kBackwards ? ofKey : ofQuery;
        tokens.weight[thread] = toBf16(Kind<Of>::kBackwards ? ofQuery : ofKey);
    }
};

}  // namespace linscope::cuda::walk
