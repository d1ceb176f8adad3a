#include "core/attention/attend_call.cuh"

namespace linscope::cuda {
namespace {

/// How tall and broad bfloat16's tiles are here: what a thread holds has to fit into its registers.
template <typename Arithmetic, int W>
using ForwardTiles = typename Arithmetic::template Tiles<W <= 64 ? 2 : 1, 64>;

/// q, then k and v of each stage; weights of ExactTiles take the keys' place.
template <typename Tiles, int W>
constexpr int kKeySize = std::max(kBroadSize<Tiles, W>, Tiles::kStages == 1 ? Tiles::kTall * Tiles::kScoreStride : 0);
template <typename Tiles, int W>
constexpr int kForwardSize = kTallSize<Tiles, W> + Tiles::kStages*(kKeySize<Tiles, W> + kBroadSize<Tiles, W>);

/// A block of queries of one head: o and lse, with a running maximum and sum (Dao et al. 2022, Algorithm 1).
template <typename Tiles, int W>
__global__ void __launch_bounds__(Tiles::kThreads) forwardKernel(AttendCall<typename Tiles::Number> call, Out o) {
    using Number = typename Tiles::Number;
    extern __shared__ float shared[];
    Number *q = reinterpret_cast<Number*>(shared), *k = q + kTallSize<Tiles, W>,
           *v = k + Tiles::kStages * kKeySize<Tiles, W>;
    const Place place = placeOf<Tiles>(call);
    const auto [b, h, row] = place;
    const int rows = min(Tiles::kTall, call.queries - row);
    loadTile<Tiles, W, Tiles::kTall>(q, call.q + call.queryAt(b, h, row), call.stride(), rows, call.width);
    float out[Tiles::kRows][Tiles::template kWide<W>] = {}, greatest[Tiles::kRows], sum[Tiles::kRows] = {};
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) greatest[i] = -INFINITY;
    const auto load = [&](int key, int stage) {
        const int count = min(Tiles::kBroad, call.keys - key);
        const float* keep = call.keepAt(place.b, key);
        const std::int64_t at = call.keyAt(place.b, place.h, key);
        loadTile<Tiles, W, Tiles::kBroad>(k + stage * kKeySize<Tiles, W>, call.k + at, call.stride(), count, call.width,
                                          keep);
        loadTile<Tiles, W, Tiles::kBroad>(v + stage * kBroadSize<Tiles, W>, call.v + at, call.stride(), count,
                                          call.width, keep);
    };
    const auto compute = [&](int key, int stage) {
        float s[Tiles::kRows][Tiles::kColumns] = {};
        Number* keys = k + stage * kKeySize<Tiles, W>;
        Tiles::template rowsByRows<W>(q, keys, s);
        const float factor = placeScores<Tiles>(call, place, place.begin, key, false, s);
#pragma unroll
        for (int i = 0; i < Tiles::kRows; ++i) {
            float top = -INFINITY, part = 0;
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j) top = fmaxf(top, s[i][j]);
            top = fmaxf(greatest[i], Tiles::rowMax(top) * factor);
            const float base = top == -INFINITY ? 0.0f : top, shrink = powerOfTwo(greatest[i] - base);
#pragma unroll
            for (int j = 0; j < Tiles::kColumns; ++j) {
                s[i][j] = powerOfTwo(fmaf(s[i][j], factor, -base));
                part += s[i][j];
            }
            sum[i] = sum[i] * shrink + part;
            greatest[i] = top;
#pragma unroll
            for (int c = 0; c < Tiles::template kWide<W>; ++c) out[i][c] *= shrink;
        }
        Tiles::template ownScoresByRows<W>(s, keys, v + stage * kBroadSize<Tiles, W>, out);
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
