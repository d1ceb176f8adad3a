#include "core/attention/attend_call.cuh"

namespace linscope::cuda {
namespace {

/// How tall and broad bfloat16's tiles are here: what a thread holds has to fit into its registers. Tried on an H200.
template <typename Arithmetic, int W>
using ForwardTiles = typename Arithmetic::template Tiles<W <= 64 ? 2 : 1, W == 64 ? 64 : 32, W == 32 ? 4 : 2>;
/// Blocks that are to share a multiprocessor.
template <typename Tiles, int W>
constexpr int kResident = Tiles::kStages == 1 ? (W == 128                 ? 1
                                                 : Tiles::kThreads == 256 ? 2
                                                                          : 3)
                          : W == 32           ? 4
                                              : 2;

/// q, then k and v as often as they are held; weights of ExactTiles take the keys' place.
template <typename Tiles, int W>
constexpr int kKeySize = std::max(kBroadSize<Tiles, W>, Tiles::kStages == 1 ? Tiles::kTall * Tiles::kScoreStride : 0);
template <typename Tiles, int W>
constexpr int kForwardSize = kTallSize<Tiles, W> + kHeld<Tiles>*(kKeySize<Tiles, W> + kBroadSize<Tiles, W>);

/// Powers of two that a weight may be above 1: far from what single precision and bfloat16 hold.
constexpr float kSlack = 8;

/// A block of queries of one head: o and lse, with a running maximum and sum (Dao et al. 2022, Algorithm 1).
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads, kResident<Tiles, W>)
    forwardKernel(AttendCall<typename Tiles::Number> call, Out o) {
    waitForEarlier();
    using Number = typename Tiles::Number;
    extern __shared__ float shared[];
    Number *q = reinterpret_cast<Number*>(shared), *k = q + kTallSize<Tiles, W>,
           *v = k + kHeld<Tiles> * kKeySize<Tiles, W>;
    const Place place = placeOf<Tiles>(call);
    const auto [b, h, row] = place;
    const int rows = min(Tiles::kTall, call.queries - row);
    loadTile<Tiles, W, Tiles::kTall>(q, call.q + call.queryAt(b, h, row), call.stride(), rows, call.width);
    float out[Tiles::kRows][Tiles::template kWide<W>] = {}, sums[Tiles::kRows][Tiles::kSums] = {};
    // Weights are relative to 2^base, which follows a row's greatest score once that is kSlack more: results do not
    // depend on it but for rounding, and it seldom moves once the greatest has been seen (Algorithm 1 moves it always).
    float base[Tiles::kRows] = {}, limit[Tiles::kRows];
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) limit[i] = -INFINITY;
    const auto load = [&](int key, int tile) {
        const int count = min(kLoaded<Tiles>, call.keys - key);
        const float* keep = call.keepAt(place.b, key);
        const std::int64_t at = call.keyAt(place.b, place.h, key);
        loadTile<Tiles, W, kLoaded<Tiles>>(k + tile * kKeySize<Tiles, W>, call.k + at, call.stride(), count, call.width,
                                           keep);
        loadTile<Tiles, W, kLoaded<Tiles>>(v + tile * kBroadSize<Tiles, W>, call.v + at, call.stride(), count,
                                           call.width, keep);
    };
    const auto compute = [&]<bool Plain>(int key, int tile, std::bool_constant<Plain>) {
        float s[Tiles::kRows][Tiles::kColumns] = {};
        Number* keys = k + tile * kKeySize<Tiles, W>;
        Tiles::template rowsByRows<W>(q, keys, s);
        const float factor = placeScores<Tiles, Plain>(call, place, place.begin, key, false, s);
        float top[Tiles::kRows];
        bool grows = false;
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i) {
            top[i] = s[i][0];
#pragma unroll
            for (int j = 1; j < Tiles::kColumns; ++j) top[i] = fmaxf(top[i], s[i][j]);
            grows |= top[i] * factor > limit[i];
        }
        if (__any_sync(kAllLanes, grows))
#pragma unroll
            for (int i = 0; i < Tiles::kRows; ++i) {
                const float greatest = Tiles::rowMax(top[i]) * factor;
                if (!(greatest > limit[i])) continue;  // of this row alone, so that no row depends on others
                const float shrink = limit[i] == -INFINITY ? 0.0f : powerOfTwo(base[i] - greatest);
                base[i] = greatest;
                limit[i] = greatest + kSlack;
#pragma unroll
                for (int c = 0; c < Tiles::kSums; ++c) sums[i][c] *= shrink;
#pragma unroll
                for (int c = 0; c < Tiles::template kWide<W>; ++c) out[i][c] *= shrink;
            }
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j) s[i][j] = powerOfTwo(fmaf(s[i][j], factor, -base[i]));
        Tiles::addRowSums(s, sums);
        Tiles::template ownScoresByRows<W>(s, keys, v + tile * kBroadSize<Tiles, W>, out);
    };
    const auto plain = [&](int key) { return call.plain(place.begin, Tiles::kTall, key, kLoaded<Tiles>); };
    overTiles<Tiles>(call.firstKey(row, Tiles::kBroad), call.lastKey(row, Tiles::kTall), load, plain, compute);
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) {
        const float sum = Tiles::wholeSum(sums[i]), factor = sum > 0.0f ? 1.0f / sum : 0.0f;
#pragma unroll
        for (int c = 0; c < Tiles::template kWide<W>; ++c) out[i][c] *= factor;
        const int at = Tiles::row(i);
        if (Tiles::leads() && at < rows)
            call.lse[static_cast<std::int64_t>(blockIdx.y) * call.queries + row + at] =
                sum > 0.0f ? base[i] + log2f(sum) : -INFINITY;
    }
    storeRows<Tiles, W>(o, call.queryAt(b, h, row), call.stride(), rows, call.width, 1.0f, out);
}

}  // namespace

Variable attend(const Variable& q, const Variable& k, const Variable& v, const AttendOptions& options) {
    if (const FusedAttention* fused = fusedAttentionFor(q, k, v, options)) return attendFused(*fused, q, k, v);
    Tape& tape = q.tape();
    const Variable o = options.bias ? tape.result(q.shape(), q.type(), q, k, v, options.bias)
                                    : tape.result(q.shape(), q.type(), q, k, v);
    const Tensor lse = tape.arena().tensor({q.shape()[0], q.shape()[2], q.shape()[1]});
    const DeviceContext& context = contextOf(q);
    const auto heads = static_cast<unsigned>(q.shape()[0] * q.shape()[2]);
    withTiles(context, static_cast<int>(q.shape()[3]), [&]<typename Arithmetic, int W>() {
        using Tiles = ForwardTiles<Arithmetic, W>;
        using Number = typename Tiles::Number;
        const auto call = attendCallOf<Number>(q, k, v, options, lse);
        startTiles<Tiles>(forwardKernel<Tiles, W>, "attend", dim3(blocksFor(call.queries, Tiles::kTall), heads),
                          kForwardSize<Tiles, W> * sizeof(Number), context.stream(), call, outOf(o.value()));
    });
    tape.record(o, [=] { attendBackward(q, k, v, options, o, lse); });
    return o;
}

}  // namespace linscope::cuda
