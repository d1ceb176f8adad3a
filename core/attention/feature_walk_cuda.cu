#include "core/attention/feature_walk_parts.cuh"

namespace linscope::cuda {
namespace {

using namespace walk;

/// state and sums as they are at `at` in memory.
template <int A, WalkOf Of>
__device__ void loadState(const FeatureSizes& s, const Walk& walk, std::int64_t at, int slice, State<A>& state,
                          Sums<A>& sums) {
    const Lane l;
    const float* from = walk.state + at * s.features * s.width;
#pragma unroll
    for (int n = 0; n < A / 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int w = slice + l.column + l.g + i / 2 * 8, a = 8 * n + 2 * l.t + i % 2;
            if (w < walk.width && a < walk.inner)
                state[n][i] = from[Kind<Of>::kFeatures ? static_cast<std::int64_t>(w) * s.width + a
                                                       : static_cast<std::int64_t>(a) * s.width + w];
        }
    if (!Kind<Of>::kSums || l.thread >= Kind<Of>::template kSummed<A>) return;
    const int m = Kind<Of>::kOutput ? l.thread : slice + l.thread;
    if (m < s.features) sums.template set<Kind<Of>::kOutput>(l.thread, walk.sum[at * s.features + m]);
}

/// The state's transpose in bfloat16, as the right factor of products.
template <int A>
__device__ void factorsOf(const State<A>& state, int k, unsigned (&factors)[2][2]) {
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int i = 0; i < 2; ++i)
            factors[half][i] = packBf16(state[2 * k + i][2 * half], state[2 * k + i][2 * half + 1]);
}

/// All rows of a chunk, the warp's own columns: row 16·block + g (+ 8), column 8·half + 2t (+ 1).
using Rows = float[kTile / 16][2][4];

/// out += left·state for the places [16k, 16k + 16) of the other axis.
template <int A>
__device__ void addTimesState(const Bf16* left, int k, const unsigned (&factors)[2][2], Rows& out) {
    const Lane l;
#pragma unroll
    for (int block = 0; block < kTile / 16; ++block) {
        unsigned row[4];
        loadMatrices(row, left + (16 * block + l.lane % 16) * Tiles::kStride<A> + 16 * k + l.lane / 16 * 8);
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float(&c)[4] = out[block][half];
            multiplyBf16(row, factors[half][0], factors[half][1], c[0], c[1], c[2], c[3]);
        }
    }
}

/// What came with the state, and the deltas', faded.
template <int A, WalkOf Of>
__device__ void fade(const Tokens& tokens, const Sums<A>& sums, Rows& out) {
    const Lane l;
#pragma unroll
    for (int block = 0; block < kTile / 16; ++block)
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int row = 16 * block + l.g + i / 2 * 8;
                float& value = out[block][half][i];
                if constexpr (Kind<Of>::kFeatures)
                    value += (Kind<Of>::kRowDelta ? tokens.delta[row] : 1.0f) *
                             sums.whole[l.column + 8 * half + 2 * l.t + i % 2];
                value *= tokens.fade[row];
            }
}

/// The divisors of the warp's own 16 rows: `within` their chunk and of the sums beside the state.
template <int A>
__device__ void divide(const FeatureCall<Bf16>& call, const Bf16* left, const Tokens& tokens, const Sums<A>& sums,
                       const float (&within)[Tiles::kRows][Tiles::kSums], int slice, std::int64_t rowAt, int rows,
                       float (&divisors)[kTile]) {
    const Lane l;
    float earlier[4] = {};
#pragma unroll
    for (int k = 0; k < A; k += 16) {
        unsigned row[1][4];
        Tiles::leftRows(row, left, Tiles::kStride<A>, k);
        const unsigned* halves = reinterpret_cast<const unsigned*>(sums.halves[l.g % 2] + k);
        multiplyBf16(row[0], l.g < 2 ? halves[l.t] : 0u, l.g < 2 ? halves[l.t + 4] : 0u, earlier[0], earlier[1],
                     earlier[2], earlier[3]);
    }
    if (l.t != 0) return;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const int row = Tiles::row(i);
        const float by = Tiles::wholeSum(within[i]) + tokens.fade[row] * (earlier[2 * i] + earlier[2 * i + 1]);
        divisors[row] = by;
        if (slice == 0 && row < rows) call.divisor[rowAt + row] = by;
    }
}

template <WalkOf Of>
__device__ void store(const FeatureSizes& s, const Walk& walk, int bh, int from, int slice,
                      const float (&divisors)[kTile], const Rows& out) {
    const Lane l;
    const int rows = min(kTile, s.length - from);
    const std::int64_t to = walk.at(s, bh, from), stride = walk.tokens ? s.stride() : walk.width;
    const bool even = walk.width % 2 == 0 && stride % 2 == 0;
#pragma unroll
    for (int block = 0; block < kTile / 16; ++block)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            const int row = 16 * block + l.g + 8 * i;
            float factor = 1;
            if constexpr (Kind<Of>::kOutput) factor = divisors[row] != 0.0f ? 1.0f / divisors[row] : 0.0f;
            if (Of == WalkOf::KeyFeatures && walk.keep != nullptr && row < rows &&
                walk.keep[bh / s.heads * s.length + from + row] == 0.0f)
                factor = 0;
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const int w = slice + l.column + 8 * half + 2 * l.t;
                if (row >= rows || w >= walk.width) continue;
                const float one = factor * out[block][half][2 * i], two = factor * out[block][half][2 * i + 1];
                const std::int64_t place = to + row * stride + w;
                if (even) {
                    walk.out.putTwo(place, one, two);
                } else {
                    walk.out.put(place, one);
                    if (w + 1 < walk.width) walk.out.put(place + 1, two);
                }
            }
        }
}

/// A part of a head's chunks, each with the one state of all tokens. Blocks: slices, parts, heads.
template <int A, WalkOf Of>
__global__ void __launch_bounds__(Tiles::kThreads, 4) everyTokenKernel(FeatureCall<Bf16> call, Walk walk, int ofPart) {
    waitForEarlier();
    constexpr int kLeft = kTile * Tiles::kStride<A>;
    extern __shared__ float shared[];
    __shared__ Tokens both[2];
    __shared__ Sums<A> sums;
    __shared__ float divisors[kTile];
    Bf16* const tiles = reinterpret_cast<Bf16*>(shared);
    const FeatureSizes& s = call.s;
    const int slice = static_cast<int>(blockIdx.x) * kTile, first = static_cast<int>(blockIdx.y) * ofPart,
              bh = static_cast<int>(blockIdx.z), last = min(s.chunks(), first + ofPart);
    Reader<Of> reader;
    const auto begin = [&](int chunk) {
        loadTile<Tiles, A, kTile>(tiles + (chunk - first) % 2 * kLeft, walk.left.at(s, bh, chunk * kTile),
                                  walk.left.stride(s), min(kTile, s.length - chunk * kTile), walk.inner);
        endCopyGroup();
        reader.read(call, walk, bh, chunk);
    };
    begin(first);
    State<A> state = {};
    if (threadIdx.x < Kind<Of>::template kSummed<A>)
        sums.template set<Kind<Of>::kOutput>(static_cast<int>(threadIdx.x), 0.0f);
    loadState<A, Of>(s, walk, call.stateAt(bh, 0), slice, state, sums);
    unsigned factors[A / 16][2][2];
#pragma unroll
    for (int k = 0; k < A / 16; ++k) factorsOf<A>(state, k, factors[k]);
    for (int chunk = first; chunk < last; ++chunk) {
        const Bf16* left = tiles + (chunk - first) % 2 * kLeft;
        Tokens& tokens = both[(chunk - first) % 2];
        reader.write(tokens);
        waitForCopies<0>();
        __syncthreads();
        if (chunk + 1 < last) begin(chunk + 1);
        if constexpr (Kind<Of>::kOutput) {
            const float within[Tiles::kRows][Tiles::kSums] = {};
            divide<A>(call, left, tokens, sums, within, slice, s.rowAt(bh, chunk * kTile),
                      min(kTile, s.length - chunk * kTile), divisors);
        }
        Rows out = {};
#pragma unroll
        for (int k = 0; k < A / 16; ++k) addTimesState<A>(left, k, factors[k], out);
        fade<A, Of>(tokens, sums, out);
        if constexpr (Kind<Of>::kOutput) __syncthreads();
        store<Of>(s, walk, bh, chunk * kTile, slice, divisors, out);
    }
}

/// A part of a head's chunks, one after another with the state of those before it. Blocks: slices, parts, heads.
template <int A, WalkOf Of>
__global__ void __launch_bounds__(Tiles::kThreads, 2) walkKernel(FeatureCall<Bf16> call, Walk walk) {
    waitForEarlier();
    using Is = Kind<Of>;
    constexpr int kSummed = Is::template kSummed<A>;
    extern __shared__ float shared[];
    __shared__ Tokens both[2];
    __shared__ Sums<A> sums;
    __shared__ float divisors[kTile];
    Bf16* const stages = reinterpret_cast<Bf16*>(shared);
    Bf16* const p = stages + 2 * kStageSize<A>;
    const FeatureSizes& s = call.s;
    const Lane l;
    const int slice = static_cast<int>(blockIdx.x) * kTile, part = static_cast<int>(blockIdx.y),
              bh = static_cast<int>(blockIdx.z), first = part * call.ofPart,
              last = min(s.chunks(), first + call.ofPart);
    Reader<Of> reader;
    const auto load = [&](int chunk, int stage) {
        Bf16 *left = stages + stage * kStageSize<A>, *right = left + kTile * Tiles::kStride<A>,
             *values = right + kTile * Tiles::kStride<A>;
        const int from = chunk * kTile, rows = min(kTile, s.length - from);
        loadTile<Tiles, A, kTile>(left, walk.left.at(s, bh, from), walk.left.stride(s), rows, walk.inner);
        loadTile<Tiles, A, kTile>(right, walk.right.at(s, bh, from), walk.right.stride(s), rows, walk.inner);
        loadTile<Tiles, kTile, kTile>(values, walk.values.at(s, bh, from) + slice, walk.values.stride(s), rows,
                                      min(kTile, walk.width - slice));
        endCopyGroup();
        reader.read(call, walk, bh, chunk);
    };
    load(Is::kBackwards ? last - 1 : first, 0);
    State<A> state = {};
    if (l.thread < kSummed) sums.template set<Is::kOutput>(l.thread, 0.0f);
    if (Is::kBackwards ? last < s.chunks() : first > 0)
        loadState<A, Of>(s, walk, static_cast<std::int64_t>(bh) * call.parts + part, slice, state, sums);
    for (int n = 0; n < last - first; ++n) {
        const int chunk = Is::kBackwards ? last - 1 - n : first + n, from = chunk * kTile;
        const bool more = n + 1 < last - first;
        const Bf16 *left = stages + n % 2 * kStageSize<A>, *right = left + kTile * Tiles::kStride<A>,
                   *values = right + kTile * Tiles::kStride<A>;
        Tokens& tokens = both[n % 2];
        const float decay = power(reader.before - reader.after);
        reader.write(tokens);
        waitForCopies<0>();
        __syncthreads();
        if (more) load(Is::kBackwards ? chunk - 1 : chunk + 1, (n + 1) % 2);

        // Within the chunk: this warp's rows of the pairs, weighed and masked, for all warps.
        float pairs[Tiles::kRows][Tiles::kColumns] = {};
        Tiles::rowsByRows<A>(left, right, pairs);
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i) {
            const int row = Tiles::row(i);
            const float ofRow = Is::kBackwards ? tokens.log[row] : tokens.top[row],
                        delta = Is::kRowDelta ? tokens.delta[row] : 0.0f;
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j) {
                const int column = Tiles::column(j);
                const bool seen = Is::kBackwards ? column >= row : column <= row;
                const float weight = power(Is::kBackwards ? ofRow - tokens.top[column] : tokens.log[column] - ofRow);
                pairs[i][j] =
                    seen ? (pairs[i][j] + delta + (Is::kColumnDelta ? tokens.delta[column] : 0.0f)) * weight : 0.0f;
            }
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; j += 2)
                *reinterpret_cast<unsigned*>(p + row * Tiles::kScoreStride + Tiles::column(j)) =
                    packBf16(pairs[i][j], pairs[i][j + 1]);
        }
        if constexpr (Is::kOutput) {
            float within[Tiles::kRows][Tiles::kSums] = {};
            Tiles::addRowSums(pairs, within);
            divide<A>(call, left, tokens, sums, within, slice, s.rowAt(bh, from), min(kTile, s.length - from),
                      divisors);
        }
        Rows out = {};
#pragma unroll
        for (int k = 0; k < A / 16; ++k) {
            unsigned factors[2][2];
            factorsOf<A>(state, k, factors);
            addTimesState<A>(left, k, factors, out);
        }
        fade<A, Of>(tokens, sums, out);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < kTile / 16; ++k) {
            unsigned factors[4];
            Tiles::rightColumns(factors, values, kSliceStride, 16 * k, l.column);
#pragma unroll
            for (int block = 0; block < kTile / 16; ++block) {
                if (Is::kBackwards ? k < block : k > block) continue;
                unsigned row[4];
                loadMatrices(row, p + (16 * block + l.lane % 16) * Tiles::kScoreStride + 16 * k + l.lane / 16 * 8);
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    float(&c)[4] = out[block][half];
                    multiplyBf16(row, factors[2 * half], factors[2 * half + 1], c[0], c[1], c[2], c[3]);
                }
            }
        }
        store<Of>(s, walk, bh, from, slice, divisors, out);
        if (!more) break;

        // On to the next chunk: the state fades, and this one's tokens come in.
        addChunk<A>(values, right, tokens, decay, state);
        if constexpr (Is::kSums) {
            if constexpr (Is::kOutput)
                sumRows<A>(right, Tiles::kStride<A>, tokens, false, sums.parts);
            else
                sumRows<kTile>(values, kSliceStride, tokens, Is::kColumnDelta, sums.parts);
            __syncthreads();
            if (l.thread < kSummed) {
                float sum = decay * sums.whole[l.thread];
#pragma unroll
                for (int i = 0; i < 2 * Tiles::kThreads / kSummed; ++i) sum += sums.parts[i][l.thread];
                sums.template set<Is::kOutput>(l.thread, sum);
            }
        }
    }
}

template <int A, WalkOf Of>
void start(DeviceContext& context, const FeatureCall<Bf16>& call, const Walk& walk) {
    const FeatureSizes& s = call.s;
    if (!call.causal) {  // so many parts that every multiprocessor has its blocks
        const unsigned slices = blocksFor(walk.width, kTile), heads = static_cast<unsigned>(s.batch * s.heads),
                       wanted = blocksFor(4 * context.processors(), slices * heads),
                       ofPart = blocksFor(s.chunks(), wanted);
        startTiles<Tiles>(
            everyTokenKernel<A, Of>, "feature attention", dim3(slices, blocksFor(s.chunks(), ofPart), heads),
            2 * kTile * Tiles::kStride<A> * sizeof(Bf16), context.stream(), call, walk, static_cast<int>(ofPart));
        return;
    }
    startTiles<Tiles>(walkKernel<A, Of>, "feature attention",
                      dim3(blocksFor(walk.width, kTile), static_cast<unsigned>(call.parts),
                           static_cast<unsigned>(call.s.batch * call.s.heads)),
                      kWalkBytes<A>, context.stream(), call, walk);
}
template <WalkOf Of>
void startFor(DeviceContext& context, const FeatureCall<Bf16>& call, const Walk& walk) {
    if (walk.inner <= 32)
        start<32, Of>(context, call, walk);
    else if (walk.inner <= 64)
        start<64, Of>(context, call, walk);
    else
        start<128, Of>(context, call, walk);
}

}  // namespace

void walkChunks(DeviceContext& context, const FeatureCall<Bf16>& call, WalkOf of, const Walk& walk) {
    switch (of) {
        case WalkOf::Output:
            return startFor<WalkOf::Output>(context, call, walk);
        case WalkOf::QueryFeatures:
            return startFor<WalkOf::QueryFeatures>(context, call, walk);
        case WalkOf::KeyFeatures:
            return startFor<WalkOf::KeyFeatures>(context, call, walk);
        case WalkOf::Values:
            return startFor<WalkOf::Values>(context, call, walk);
    }
}

}  // namespace linscope::cuda
