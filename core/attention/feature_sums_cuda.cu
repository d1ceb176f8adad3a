#include "core/attention/feature_walk_parts.cuh"

namespace linscope::cuda {
namespace {

using namespace walk;

template <int A>
constexpr int kSumStage = kTile*(Tiles::kStride<A> + kSliceStride);

/// The sums of a part's chunks, from the last on for queries of a causal sequence: what feature_call.cuh's
/// partStateKernel() does, with the next chunk on its way. Of says whose weights count. Blocks: slices of D, parts,
/// heads.
template <int A, WalkOf Of>
__global__ void __launch_bounds__(Tiles::kThreads, 3) sumKernel(FeatureCall<Bf16> call, Summand<Bf16> summand) {
    waitForEarlier();
    extern __shared__ float shared[];
    __shared__ Tokens both[2];
    __shared__ Sums<A> sums;
    Bf16* const stages = reinterpret_cast<Bf16*>(shared);
    const FeatureSizes& s = call.s;
    const Lane l;
    const int slice = static_cast<int>(blockIdx.x) * kTile, part = static_cast<int>(blockIdx.y),
              bh = static_cast<int>(blockIdx.z), first = part * call.ofPart,
              last = min(s.chunks(), first + call.ofPart);
    const bool backwards = call.causal && Kind<Of>::kBackwards;
    const Walk deltas{.delta = summand.delta};
    Reader<Of> reader;
    const auto load = [&](int chunk, int stage) {
        Bf16 *phi = stages + stage * kSumStage<A>, *y = phi + kTile * Tiles::kStride<A>;
        const int from = chunk * kTile, rows = min(kTile, s.length - from);
        loadTile<Tiles, A, kTile>(phi, summand.phi + s.rowAt(bh, from) * s.features, s.features, rows, s.features);
        loadTile<Tiles, kTile, kTile>(y, summand.y + s.tokenAt(bh, from) + slice, static_cast<int>(s.stride()), rows,
                                      min(kTile, s.width - slice));
        endCopyGroup();
        reader.read(call, deltas, bh, chunk);
    };
    load(backwards ? last - 1 : first, 0);
    State<A> state = {};
    float sum = 0;  // of this thread's feature
    for (int n = 0; n < last - first; ++n) {
        const int chunk = backwards ? last - 1 - n : first + n;
        const Bf16 *phi = stages + n % 2 * kSumStage<A>, *y = phi + kTile * Tiles::kStride<A>;
        Tokens& tokens = both[n % 2];
        const float decay = call.causal ? power(reader.before - reader.after) : 1.0f;
        reader.write(tokens);
        waitForCopies<0>();
        __syncthreads();
        if (n + 1 < last - first) load(backwards ? chunk - 1 : chunk + 1, (n + 1) % 2);
        addChunk<A>(y, phi, tokens, decay, state);
        if (slice != 0) continue;
        sumRows<A>(phi, Tiles::kStride<A>, tokens, Kind<Of>::kColumnDelta, sums.parts);
        __syncthreads();
        if (l.thread < A) {
            sum *= decay;
#pragma unroll
            for (int i = 0; i < 2 * Tiles::kThreads / A; ++i) sum += sums.parts[i][l.thread];
        }
    }
    const std::int64_t at = (static_cast<std::int64_t>(bh) * call.parts + part) * s.features;
#pragma unroll
    for (int n = 0; n < A / 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int w = slice + l.column + l.g + i / 2 * 8, a = 8 * n + 2 * l.t + i % 2;
            if (w < s.width && a < s.features) summand.state[(at + a) * s.width + w] = state[n][i];
        }
    if (slice == 0 && l.thread < min(A, s.features)) summand.sum[at + l.thread] = sum;
}

template <int A>
void start(DeviceContext& context, const FeatureCall<Bf16>& call, const Summand<Bf16>& summand) {
    // Queries are summed with the weights and deltas of what a gradient of keys' features reads.
    const auto kernel = summand.queries ? &sumKernel<A, WalkOf::KeyFeatures> : &sumKernel<A, WalkOf::Output>;
    startTiles<Tiles>(kernel, "feature attention",
                      dim3(blocksFor(call.s.width, kTile), static_cast<unsigned>(call.parts),
                           static_cast<unsigned>(call.s.batch * call.s.heads)),
                      2 * kSumStage<A> * sizeof(Bf16), context.stream(), call, summand);
}

}  // namespace

void sumParts(DeviceContext& context, const FeatureCall<Bf16>& call, const Summand<Bf16>& summand) {
    if (call.s.features <= 32)
        start<32>(context, call, summand);
    else if (call.s.features <= 64)
        start<64>(context, call, summand);
    else
        start<128>(context, call, summand);
}

}  // namespace linscope::cuda
