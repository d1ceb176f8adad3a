#include <cmath>

#include "core/attention/list_attend.cuh"
#include "core/attention/reformer/chunk_attend.h"

namespace linscope::cuda {
namespace {

// Every round of every sample becomes a sample of its own whose tokens lie in the round's order, so that chunks are
// neighbours; list attention does the rest, round by round, and the rounds are put together by their sums.

/// One call, by value.
struct Rounds {
    int batch, length, heads, width, rounds;
    const std::int32_t *order, *place, *chunk;  // [B,H,rounds,T]

    __host__ __device__ std::int64_t rows() const { return static_cast<std::int64_t>(batch) * length * heads; }
    /// Where the list of a head and round begins in the three above.
    __device__ std::int64_t listAt(std::int64_t b, std::int64_t h, std::int64_t round) const {
        return ((b * heads + h) * rounds + round) * length;
    }
    /// Row (b·T + t)·H + h of a tensor [B,T,H,·] as a row of the round's, [B·rounds,T,H,·].
    __device__ std::int64_t sortedRow(std::int64_t row, int round) const {
        const std::int64_t h = row % heads, t = row / heads % length, b = row / heads / length;
        return ((b * rounds + round) * length + place[listAt(b, h, round) + t]) * heads + h;
    }
    /// The same of the rounds' lse and delta, [B·rounds,H,T].
    __device__ std::int64_t sortedSum(std::int64_t row, int round) const {
        const std::int64_t h = row % heads, t = row / heads % length, b = row / heads / length;
        return ((b * rounds + round) * heads + h) * length + place[listAt(b, h, round) + t];
    }
    __device__ bool kept(std::int64_t row) const {
        return chunk[listAt(row / heads / length, row % heads, 0) + row / heads % length] >= 0;
    }
};

struct RoundPlan : ListCall<1> {
    /// Later tokens move a bucket along its list: that must not be seen in the causal form.
    static constexpr bool kOrdered = true;
    Rounds of;
    int size;  ///< tokens of a chunk
    bool causal, countOnce;
    float slopes[kMostChunkHeads];

    struct Pair {
        std::int64_t list;
        std::int32_t i, j;
    };
    __device__ Pair pairOf(int bh, int query, int key) const {
        const std::int64_t sample = bh / heads, list = of.listAt(sample / of.rounds, bh % heads, sample % of.rounds);
        return {list, of.order[list + query], of.order[list + key]};
    }
    __device__ bool seen(int, int bh, int query, int key) const {
        const Pair pair = pairOf(bh, query, key);
        if (pair.i < 0 || pair.j < 0 || pair.i == pair.j || (causal && pair.j > pair.i)) return false;
        const std::int32_t apart = of.chunk[pair.list + pair.i] - of.chunk[pair.list + pair.j];
        return apart == 0 || apart == 1;
    }
    __device__ float added(int, int bh, int query, int key) const {
        const Pair pair = pairOf(bh, query, key);
        float result = -slopes[bh % heads] * static_cast<float>(abs(pair.i - pair.j));
        if (!countOnce) return result;
        const std::int32_t* chunk = of.chunk + of.listAt(bh / heads / of.rounds, bh % heads, 0);
        int met = 0;
        for (int round = 0; round < of.rounds; ++round, chunk += of.length) {
            const std::int32_t apart = chunk[pair.i] - chunk[pair.j];
            met += apart == 0 || apart == 1 ? 1 : 0;
        }
        return result - (met > 1 ? logf(static_cast<float>(met)) : 0.0f);
    }
    // A chunk and the one before are neighbours of at most `size` tokens each.
    __device__ int2 keys(int, int row) const {
        return make_int2(max(0, row - 2 * size + 1), min(row + kTile, length) - 1 + size);
    }
    __device__ int2 queries(int, int key) const {
        return make_int2(max(0, key - size + 1), min(key + kTile, length) - 1 + 2 * size);
    }
};

constexpr int kRowsOfWarps = 8;  // a warp each

/// 1/‖q‖, at most 1e12, of each row.
__global__ void normsKernel(Rounds s, const float* q, float* inverse) {
    waitForEarlier();
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRowsOfWarps + threadIdx.y;
    if (row >= s.rows()) return;
    float squares = 0;
    for (int d = static_cast<int>(threadIdx.x); d < s.width; d += static_cast<int>(kWarp))
        squares += q[row * s.width + d] * q[row * s.width + d];
    squares = warpSum(squares);
    if (threadIdx.x == 0) inverse[row] = 1.0f / fmaxf(sqrtf(squares), 1e-12f);
}

/// x [B,T,H,D] in the order of each round, [B·rounds,T,H,D], times a factor of each row; 0 where there is no token.
void gather(cudaStream_t stream, const Rounds& s, const float* x, const float* factors, float* sorted) {
    forEach(stream, s.rows() * s.rounds * s.width, "chunk attention", [=] __device__(std::int64_t i) {
        const std::int64_t h = i / s.width % s.heads, position = i / s.width / s.heads % s.length,
                           sample = i / s.width / s.heads / s.length;
        const std::int64_t b = sample / s.rounds;
        const std::int32_t t = s.order[s.listAt(b, h, sample % s.rounds) + position];
        const std::int64_t row = (b * s.length + t) * s.heads + h;
        sorted[i] = t < 0 ? 0.0f : x[row * s.width + i % s.width] * (factors != nullptr ? factors[row] : 1.0f);
    });
}

/// o and lse of all rounds: o_r weigh as their sums do. A token that sees none gives v, padding 0; lse is −∞ for both.
void combine(cudaStream_t stream, const Rounds& s, const float* sorted, const float* sums, const float* v, float* o,
             float* lse) {
    forEach(stream, s.rows() * s.width, "chunk attention", [=] __device__(std::int64_t i) {
        const std::int64_t row = i / s.width, d = i % s.width;
        float top = -INFINITY, sum = 0, result = 0;
        for (int round = 0; round < s.rounds; ++round) top = fmaxf(top, sums[s.sortedSum(row, round)]);
        for (int round = 0; top > -INFINITY && round < s.rounds; ++round) {
            const float weight = expf(sums[s.sortedSum(row, round)] - top);
            sum += weight;
            if (weight > 0.0f) result += weight * sorted[s.sortedRow(row, round) * s.width + d];
        }
        o[i] = !s.kept(row) ? 0.0f : sum > 0.0f ? result / sum : v[i];
        if (d == 0) lse[row] = sum > 0.0f ? top + logf(sum) : -INFINITY;
    });
}

/// Each round's copies of lse and of delta = Σ o·do, [B·rounds,H,T]. A warp for each row.
__global__ void spreadKernel(Rounds s, const float* o, const float* dO, const float* lse, float* sortedLse,
                             float* sortedDelta) {
    waitForEarlier();
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRowsOfWarps + threadIdx.y;
    if (row >= s.rows()) return;
    float delta = 0;
    for (int d = static_cast<int>(threadIdx.x); d < s.width; d += static_cast<int>(kWarp))
        delta += o[row * s.width + d] * dO[row * s.width + d];
    delta = warpSum(delta);
    for (int round = static_cast<int>(threadIdx.x); round < s.rounds; round += static_cast<int>(kWarp)) {
        sortedLse[s.sortedSum(row, round)] = lse[row];
        sortedDelta[s.sortedSum(row, round)] = delta;
    }
}

/// Gradients of all rounds [B·rounds,T,H,D], in their order, and from those of the keys q/‖q‖ to those of q.
struct Sorted {
    const float *dq, *dk, *dv;
};

/// A warp for each row.
__global__ void gradientsKernel(Rounds s, Sorted sorted, const float* q, const float* inverse, const float* lse,
                                const float* dO, Out dq, Out dv) {
    waitForEarlier();
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRowsOfWarps + threadIdx.y;
    if (row >= s.rows()) return;
    const bool kept = s.kept(row), alone = lse[row] == -INFINITY;
    const auto overRounds = [&](const float* x, int d) {
        float sum = 0;
        for (int round = 0; kept && round < s.rounds; ++round) sum += x[s.sortedRow(row, round) * s.width + d];
        return sum;
    };
    float along = 0;
    for (int d = static_cast<int>(threadIdx.x); kept && d < s.width; d += static_cast<int>(kWarp))
        along += q[row * s.width + d] * overRounds(sorted.dk, d);
    const float own = inverse[row];
    along = kept && own < 1e12f ? warpSum(along) * own * own : 0.0f;  // a whole warp has one row
    for (int d = static_cast<int>(threadIdx.x); d < s.width; d += static_cast<int>(kWarp)) {
        const std::int64_t i = row * s.width + d;
        if (dq.data != nullptr)
            dq.put(i, kept ? overRounds(sorted.dq, d) + own * (overRounds(sorted.dk, d) - along * q[i]) : 0.0f);
        if (dv.data != nullptr) dv.put(i, overRounds(sorted.dv, d) + (kept && alone ? dO[i] : 0.0f));
    }
}

/// Everything that the backward pass needs; lives in the tape's arena.
struct Kept {
    RoundPlan plan;
    Variable qk, v, o;
    const float *inverse, *lse;  // [B,T,H]
};

void backward(const Kept& kept) {
    const Rounds& s = kept.plan.of;
    cudaStream_t stream = streamOf(kept.o);
    Arena& arena = kept.o.tape().arena();
    const auto take = [&](std::int64_t width) {
        return arena.tensor({s.rows() * s.rounds, width}).onDeviceAs<float>();
    };
    const float* dO = kept.o.gradient().onDeviceAs<float>();
    float *sortedDO = take(s.width), *sortedLse = take(1), *sortedDelta = take(1);
    gather(stream, s, dO, nullptr, sortedDO);
    const dim3 block(kWarp, kRowsOfWarps);
    const unsigned blocks = blocksFor(s.rows(), kRowsOfWarps);
    launch(stream, "chunk attention, backwards", {blocks, block}, spreadKernel, s, kept.o.value().onDeviceAs<float>(),
           dO, kept.lse, sortedLse, sortedDelta);
    const ListUpstream up{sortedDO, sortedLse, sortedDelta};
    float *dq = take(s.width), *dk = take(s.width), *dv = take(s.width);
    listQueries(stream, kept.plan, up, {dq});
    listKeys(stream, kept.plan, 0, up, {dk}, {dv});
    launch(stream, "chunk attention, backwards", {blocks, block}, gradientsKernel, s, Sorted{dq, dk, dv},
           kept.qk.value().onDeviceAs<float>(), kept.inverse, kept.lse, dO, outOf(kept.qk), outOf(kept.v));
}

}  // namespace

Variable chunkAttend(const Variable& qk, const Variable& v, const LshChunks& chunks,
                     const ChunkAttendOptions& options) {
    Tape& tape = qk.tape();
    const Shape& shape = qk.shape();
    const Variable o = tape.result(shape, qk.type(), qk, v);
    cudaStream_t stream = streamOf(o);
    Arena& arena = tape.arena();
    const auto extent = [&](int axis) { return static_cast<int>(shape[axis]); };
    Kept* kept = arena.make<Kept>();
    RoundPlan& plan = kept->plan;
    Rounds& s = plan.of;
    s = {extent(0),
         extent(1),
         extent(2),
         extent(3),
         static_cast<int>(chunks.rounds),
         chunks.order.onDeviceAs<std::int32_t>(),
         chunks.place.onDeviceAs<std::int32_t>(),
         chunks.chunk.onDeviceAs<std::int32_t>()};
    const auto take = [&](std::int64_t width) {
        return arena.tensor({s.rows() * s.rounds, width}).onDeviceAs<float>();
    };
    float *inverse = arena.tensor({s.rows()}).onDeviceAs<float>(), *lse = arena.tensor({s.rows()}).onDeviceAs<float>();
    const float *q = qk.value().onDeviceAs<float>(), *values = v.value().onDeviceAs<float>();
    launch(stream, "chunk attention", {blocksFor(s.rows(), kRowsOfWarps), dim3(kWarp, kRowsOfWarps)}, normsKernel, s, q,
           inverse);
    float *sortedQ = take(s.width), *sortedK = take(s.width), *sortedV = take(s.width);
    gather(stream, s, q, nullptr, sortedQ);
    gather(stream, s, q, inverse, sortedK);
    gather(stream, s, values, nullptr, sortedV);
    plan.q = sortedQ;
    plan.lists[0] = {sortedK, sortedV, nullptr, s.length};
    plan.batch = s.batch * s.rounds;
    plan.length = s.length;
    plan.heads = s.heads;
    plan.width = s.width;
    plan.scale = 1.0f / std::sqrt(static_cast<float>(s.width));
    plan.size = static_cast<int>(options.chunk);
    plan.causal = chunks.causal;
    plan.countOnce = options.countOnce && s.rounds > 1;
    for (std::size_t h = 0; h < options.slopes.size(); ++h) plan.slopes[h] = static_cast<float>(options.slopes[h]);
    float *sortedO = take(s.width), *sums = take(1);
    listForward(stream, plan, sortedO, sums);
    combine(stream, s, sortedO, sums, values, o.value().onDeviceAs<float>(), lse);
    kept->qk = qk;
    kept->v = v;
    kept->o = o;
    kept->inverse = inverse;
    kept->lse = lse;
    tape.record(o, [kept] { backward(*kept); });
    return o;
}

}  // namespace linscope::cuda
