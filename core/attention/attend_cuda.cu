#include "core/attention/attend_call.cuh"

namespace linscope::cuda {
namespace {

/// How tall and broad bfloat16's tiles are here: what a thread holds has to fit into its registers.
template <typename Arithmetic, int W>
using ForwardTiles = typename Arithmetic::template Tiles<W <= 64 ? 2 : 1, 32, 2>;
/// Blocks that are to share a multiprocessor.
template <typename Tiles, int W>
constexpr int kResident = Tiles::kStages == 1 ? (W == 128                 ? 1
                                                 : Tiles::kThreads == 256 ? 2
                                                                          : 3)
                          : W == 32           ? 4
                          : W == 64           ? 3
                                              : 2;

/// q, then k and v as often as they are held; weights of ExactTiles take the keys' place.
template <typename Tiles, int W>
constexpr int kKeySize = std::max(kBroadSize<Tiles, W>, Tiles::kStages == 1 ? Tiles::kTall * Tiles::kScoreStride : 0);
template <typename Tiles, int W>
constexpr int kForwardSize = kTallSize<Tiles, W> + kHeld<Tiles>*(kKeySize<Tiles, W> + kBroadSize<Tiles, W>);

/// A block of queries of one head: o and lse, with a running maximum and sum (Dao et al. 2022, Algorithm 1).
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads, kResident<Tiles, W>)
    forwardKernel(AttendCall<typename Tiles::Number> call, Out o) {
    using Number = typename Tiles::Number;
    extern __shared__ float shared[];
    Number *q = reinterpret_cast<Number*>(shared), *k = q + kTallSize<Tiles, W>,
           *v = k + kHeld<Tiles> * kKeySize<Tiles, W>;
    const Place place = placeOf<Tiles>(call);
    const auto [b, h, row] = place;
    const int rows = min(Tiles::kTall, call.queries - row);
    loadTile<Tiles, W, Tiles::kTall>(q, call.q + call.queryAt(b, h, row), call.stride(), rows, call.width);
    float out[Tiles::kRows][Tiles::template kWide<W>] = {}, greatest[Tiles::kRows], sum[Tiles::kRows] = {};
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) greatest[i] = -INFINITY;
    const auto load = [&](int key, int tile) {
        const int count = min(kLoaded<Tiles>, call.keys - key);
        const float* keep = call.keepAt(place.b, key);
        const std::int64_t at = call.keyAt(place.b, place.h, key);
        loadTile<Tiles, W, kLoaded<Tiles>>(k + tile * kKeySize<Tiles, W>, call.k + at, call.stride(), count, call.width,
                                           keep);
        loadTile<Tiles, W, kLoaded<Tiles>>(v + tile * kBroadSize<Tiles, W>, call.v + at, call.stride(), count,
                                           call.width, keep);
    };
    const auto compute = [&](int key, int tile) {
        float s[Tiles::kRows][Tiles::kColumns] = {};
        Number* keys = k + tile * kKeySize<Tiles, W>;
        Tiles::template rowsByRows<W>(q, keys, s);
        const float factor = placeScores<Tiles>(call, place, place.begin, key, false, s);
        float shrink[Tiles::kRows];
        bool shrinks = false;
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i) {
            float top = -INFINITY, part = 0;
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j) top = fmaxf(top, s[i][j]);
            top = fmaxf(greatest[i], Tiles::rowMax(top) * factor);
            const float base = top == -INFINITY ? 0.0f : top;
            shrink[i] = powerOfTwo(greatest[i] - base);
            shrinks |= top != greatest[i];
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j) {
                s[i][j] = powerOfTwo(fmaf(s[i][j], factor, -base));
                part += s[i][j];
            }
            sum[i] = sum[i] * shrink[i] + part;
            greatest[i] = top;
        }
        if (__any_sync(kAllLanes, shrinks))  // seldom, once the greatest has been seen
#pragma unroll
            for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
                for (int c = 0; c < Tiles::template kWide<W>; ++c) out[i][c] *= shrink[i];
        Tiles::template ownScoresByRows<W>(s, keys, v + tile * kBroadSize<Tiles, W>, out);
    };
    overTiles<Tiles>(call.firstKey(row, Tiles::kBroad), call.lastKey(row, Tiles::kTall), load, compute);
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) {
        sum[i] = Tiles::rowSum(sum[i]);
        const float factor = sum[i] > 0.0f ? 1.0f / sum[i] : 0.0f;
#pragma unroll
        for (int c = 0; c < Tiles::template kWide<W>; ++c) out[i][c] *= factor;
        const int at = Tiles::row(i);
        if (Tiles::leads() && at < rows)
            call.lse[static_cast<std::int64_t>(blockIdx.y) * call.queries + row + at] =
                sum[i] > 0.0f ? greatest[i] + log2f(sum[i]) : -INFINITY;
    }
    storeRows<Tiles, W>(o, call.queryAt(b, h, row), call.stride(), rows, call.width, 1.0f, out);
}

}  // namespace

Variable attend(const Variable& q, const Variable& k, const Variable& v, const AttendOptions& options) {
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
