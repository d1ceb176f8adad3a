#include "core/attention/decay_scan.cuh"
#include "core/attention/gated_delta/delta_rule.h"

namespace linscope::cuda {
namespace {

// What a chunk's residuals are solved with, the inverse of I + A, is made for all chunks beside one another; then the
// state goes from chunk to chunk, a block for each head and kColumns channels of v; the outputs, once every state is
// known, are a scan's (decay_scan.cuh) over k and u. Backwards the same way round.

using Tiles = ExactTiles;

constexpr int kColumns = 32;  // of the state, a block's share
constexpr int kPartSize = kTileSize<kColumns>;
constexpr int kWideColumns = Tiles::kWide<kColumns>;

/// One call, by value.
struct Call {
    ScanCall scan;         // over k and u, with the sums of log α
    const float* v;        // [B,T,H,D]
    const float* beta;     // [B,T,H]
    const float* inverse;  // [B,H,N,kTile,kTile] (I + A)⁻¹
    const float* states;   // [B,H,N,D,D] before each chunk
    const float *u, *x;    // [B,T,H,D] of the solve (I + A)·U = diag(β)·X

    __device__ float betaAt(int bh, int t) const { return beta[scan.tokenAt(bh, t, 1)]; }
    __device__ std::int64_t chunkAt(int bh, int chunk) const {
        return static_cast<std::int64_t>(bh) * scan.chunks() + chunk;
    }
};

/// sums [B,H,T] of log α within each chunk, in double; 0 without α.
void sumLogs(cudaStream_t stream, const ScanCall& scan, const float* logAlpha, float* sums) {
    forEach(stream, static_cast<std::int64_t>(scan.headCount()) * scan.chunks(), "delta rule, decays",
            [=] __device__(std::int64_t i) {
                const int bh = static_cast<int>(i / scan.chunks()), chunk = static_cast<int>(i % scan.chunks());
                double sum = 0;
                for (int row = 0; row < scan.rowsOf(chunk); ++row) {
                    const int t = chunk * kTile + row;
                    if (logAlpha != nullptr) sum += static_cast<double>(logAlpha[scan.tokenAt(bh, t, 1)]);
                    sums[scan.rowAt(bh, t)] = static_cast<float>(sum);
                }
            });
}

/// This thread's places of a chunk's products of keys ⟨k_t, k_j⟩. `p` is scratch.
__device__ void keyProducts(const ScanCall& scan, int bh, int chunk, float* p,
                            float (&products)[Tiles::kRows][Tiles::kColumns]) {
    for (int first = 0; first < scan.features; first += kTile) {
        __syncthreads();
        loadSingle<kTile>(p, scan.k + scan.tokenAt(bh, chunk * kTile, scan.features) + first,
                          scan.stride(scan.features), scan.rowsOf(chunk), min(kTile, scan.features - first));
        __syncthreads();
        Tiles::rowsByRows<kTile>(p, p, products);
    }
}

constexpr int kInverseFloats = 2 * kSingleScoreSize;

/// (I + A)⁻¹ of a chunk, A_tj = β_t·decay·⟨k_t, k_j⟩ for j < t: each column by one thread, from its first row down.
/// Blocks: chunks, heads.
__global__ void __launch_bounds__(Tiles::kThreads) inverseKernel(Call call, float* inverse) {
    waitForEarlier();
    extern __shared__ float shared[];
    float *a = shared, *result = shared + kSingleScoreSize;
    const int chunk = static_cast<int>(blockIdx.x), bh = static_cast<int>(blockIdx.y), t = chunk * kTile,
              rows = call.scan.rowsOf(chunk);
    float products[Tiles::kRows][Tiles::kColumns] = {};
    keyProducts(call.scan, bh, chunk, a, products);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
        for (int j = 0; j < Tiles::kColumns; ++j) {
            const int row = Tiles::row(i), column = Tiles::column(j);
            a[row * kSingleScoreStride + column] =
                column < row && row < rows
                    ? call.betaAt(bh, t + row) * call.scan.decay(bh, chunk, column, row) * products[i][j]
                    : 0.0f;
        }
    __syncthreads();
    const int column = static_cast<int>(threadIdx.x);
    if (column < kTile)
        for (int row = 0; row < kTile; ++row) {
            float value = row == column ? 1.0f : 0.0f;
            if (row > column)
                for (int l = column; l < row; ++l)
                    value -= a[row * kSingleScoreStride + l] * result[l * kSingleScoreStride + column];
            result[row * kSingleScoreStride + column] = value;
        }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kTile * kTile; i += Tiles::kThreads)
        inverse[call.chunkAt(bh, chunk) * kTile * kTile + i] = result[i / kTile * kSingleScoreStride + i % kTile];
}

/// A block's share of a head's state on its way through the chunks: its channels of v, all channels of k, in tiles of
/// kTile of those. Blocks: heads, shares of the channels of v.
struct Walk {
    int bh, first, columns, tiles;
    float *p, *state;

    __device__ Walk(const Call& call, float* scores, float* states)
        : bh(static_cast<int>(blockIdx.x)),
          first(static_cast<int>(blockIdx.y) * kColumns),
          columns(min(kColumns, call.scan.width - first)),
          tiles((call.scan.features + kTile - 1) / kTile),
          p(scores),
          state(states) {
        for (int i = static_cast<int>(threadIdx.x); i < tiles * kPartSize; i += Tiles::kThreads) state[i] = 0.0f;
    }
    __device__ float* part(int tile) const { return state + tile * kPartSize; }
    /// Its share of rows of the chunk, of x [B,T,H,D].
    __device__ void load(const Call& call, int chunk, const float* x, float* to) const {
        loadSingle<kColumns>(to, x + call.scan.tokenAt(bh, chunk * kTile, call.scan.width) + first,
                             call.scan.stride(call.scan.width), call.scan.rowsOf(chunk), columns);
    }
    /// Tile `tile` of the channels of x [B,T,H,D], a q or k.
    __device__ void loadFeatures(const Call& call, int chunk, const float* x, int tile) const {
        const ScanCall& s = call.scan;
        loadSingle<kTile>(p, x + s.tokenAt(bh, chunk * kTile, s.features) + tile * kTile, s.stride(s.features),
                          s.rowsOf(chunk), min(kTile, s.features - tile * kTile));
    }
    __device__ void loadInverse(const Call& call, int chunk) const {
        loadSingle<kTile>(p, call.inverse + call.chunkAt(bh, chunk) * kTile * kTile, kTile, kTile, kTile);
    }
    /// The state as it is, into all [B,H,N,D,D].
    __device__ void write(const Call& call, int chunk, float* all) const {
        const std::int64_t at = call.chunkAt(bh, chunk) * call.scan.features * call.scan.width + first;
        for (int i = static_cast<int>(threadIdx.x); i < call.scan.features * columns; i += Tiles::kThreads) {
            const int row = i / columns, column = i % columns;
            all[at + static_cast<std::int64_t>(row) * call.scan.width + column] =
                state[row / kTile * kPartSize + row % kTile * kTileStride<kColumns> + column];
        }
    }
    /// result = K·state
    __device__ void keysByState(const Call& call, int chunk, float (&result)[Tiles::kRows][kWideColumns]) const {
        for (int tile = 0; tile < tiles; ++tile) {
            __syncthreads();
            loadFeatures(call, chunk, call.scan.k, tile);
            __syncthreads();
            Tiles::scoresByRows<kColumns>(p, part(tile), result);
        }
    }
    /// state = factor·state + xᵀ·rows, rows [kTile,kColumns] in shared memory.
    __device__ void add(const Call& call, int chunk, float factor, const float* x, const float* rows) const {
        for (int tile = 0; tile < tiles; ++tile) {
            __syncthreads();
            loadFeatures(call, chunk, x, tile);
            __syncthreads();
            float sum[Tiles::kRows][kWideColumns] = {};
            Tiles::columnsByRows<kColumns>(p, rows, sum);
#pragma unroll
            for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
                for (int c = 0; c < kWideColumns; ++c) {
                    float& place = part(tile)[Tiles::row(i) * kTileStride<kColumns> + Tiles::wide<kColumns>(c)];
                    place = factor * place + sum[i][c];
                }
        }
    }
};

/// Calls function(place in a tile kColumns wide, row, i, c) for this thread's places.
template <typename Function>
__device__ void forPlaces(Function&& function) {
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
        for (int c = 0; c < kWideColumns; ++c)
            function(Tiles::row(i) * kTileStride<kColumns> + Tiles::wide<kColumns>(c), Tiles::row(i), i, c);
}

/// u, x and the states before each chunk, from the first chunk to the last.
__global__ void __launch_bounds__(Tiles::kThreads) forwardKernel(Call call, float* u, float* x, float* states) {
    waitForEarlier();
    extern __shared__ float shared[];
    float* rows = shared + kSingleScoreSize;
    const Walk walk(call, shared, rows + kPartSize);
    const ScanCall& s = call.scan;
    for (int chunk = 0; chunk < s.chunks(); ++chunk) {
        const int count = s.rowsOf(chunk), t = chunk * kTile;
        const std::int64_t at = s.tokenAt(walk.bh, t, s.width) + walk.first;
        __syncthreads();
        walk.write(call, chunk, states);
        walk.load(call, chunk, call.v, rows);
        float read[Tiles::kRows][kWideColumns] = {}, solved[Tiles::kRows][kWideColumns] = {};
        walk.keysByState(call, chunk, read);
        forPlaces([&](int place, int row, int i, int c) {
            read[i][c] = row < count ? rows[place] - s.decay(walk.bh, chunk, -1, row) * read[i][c] : 0.0f;
            rows[place] = row < count ? call.betaAt(walk.bh, t + row) * read[i][c] : 0.0f;
        });
        storeRows<Tiles, kColumns>({x}, at, s.stride(s.width), count, walk.columns, 1.0f, read);
        __syncthreads();
        walk.loadInverse(call, chunk);
        __syncthreads();
        Tiles::scoresByRows<kColumns>(walk.p, rows, solved);
        __syncthreads();
        storeRows<Tiles, kColumns>({u}, at, s.stride(s.width), count, walk.columns, 1.0f, solved);
        forPlaces([&](int place, int row, int i, int c) {
            rows[place] = row < count ? s.decay(walk.bh, chunk, row, count - 1) * solved[i][c] : 0.0f;
        });
        walk.add(call, chunk, s.decay(walk.bh, chunk, -1, count - 1), s.k, rows);
    }
}

/// What the walk backwards reads and writes.
struct Upstream {
    const float* g;   // [B,T,H,D] do
    const float* du;  // [B,T,H,D] what u gets through the outputs of its own chunk
    float *dB, *dX;   // [B,T,H,D] of the solve's right side, before β and after
    float* dStates;   // [B,H,N,D,D] dL/d(state after each chunk)
};

/// dL/d(state) from the last chunk to the first.
__global__ void __launch_bounds__(Tiles::kThreads) backwardKernel(Call call, Upstream up, Out dv) {
    waitForEarlier();
    extern __shared__ float shared[];
    float* rows = shared + kSingleScoreSize;
    const Walk walk(call, shared, rows + kPartSize);
    const ScanCall& s = call.scan;
    for (int chunk = s.chunks() - 1; chunk >= 0; --chunk) {
        const int count = s.rowsOf(chunk), t = chunk * kTile;
        const std::int64_t at = s.tokenAt(walk.bh, t, s.width) + walk.first;
        __syncthreads();
        walk.write(call, chunk, up.dStates);
        walk.load(call, chunk, up.du, rows);
        float du[Tiles::kRows][kWideColumns] = {}, dB[Tiles::kRows][kWideColumns] = {};
        walk.keysByState(call, chunk, du);
        forPlaces([&](int place, int row, int i, int c) {
            if (row < count) rows[place] += s.decay(walk.bh, chunk, row, count - 1) * du[i][c];
        });
        __syncthreads();
        walk.loadInverse(call, chunk);
        __syncthreads();
        Tiles::columnsByRows<kColumns>(walk.p, rows, dB);
        storeRows<Tiles, kColumns>({up.dB}, at, s.stride(s.width), count, walk.columns, 1.0f, dB);
        __syncthreads();
        forPlaces([&](int place, int row, int i, int c) {
            const float dX = row < count ? call.betaAt(walk.bh, t + row) * dB[i][c] : 0.0f;
            rows[place] = row < count ? -s.decay(walk.bh, chunk, -1, row) * dX : 0.0f;
            dB[i][c] = dX;
        });
        storeRows<Tiles, kColumns>({up.dX}, at, s.stride(s.width), count, walk.columns, 1.0f, dB);
        storeRows<Tiles, kColumns>(dv, at, s.stride(s.width), count, walk.columns, 1.0f, dB);
        walk.add(call, chunk, s.decay(walk.bh, chunk, -1, count - 1), s.k, rows);
        __syncthreads();
        walk.load(call, chunk, up.g, rows);
        __syncthreads();
        forPlaces([&](int place, int row, int, int) {
            rows[place] *= row < count ? s.scale * s.decay(walk.bh, chunk, -1, row) : 0.0f;
        });
        walk.add(call, chunk, 1.0f, s.q, rows);
    }
}

int walkFloats(const ScanCall& scan) {
    return kSingleScoreSize + kPartSize * (1 + (scan.features + kTile - 1) / kTile);
}
dim3 walkBlocks(const ScanCall& scan) {
    return dim3(static_cast<unsigned>(scan.headCount()), blocksFor(scan.width, kColumns));
}

template <int W>
constexpr int kPairFloats = kSingleScoreSize + 2 * kTileSize<W>;

/// What A and X give: dβ, and to keys' gradients in two parts, for whose difference keyGradients() has a use: `plus`
/// through ⟨k_t, ·⟩, and added to `minus` through ⟨·, k_j⟩. Blocks: chunks, heads.
template <int W>
__global__ void __launch_bounds__(Tiles::kThreads)
    pairsBackKernel(Call call, Upstream up, float* plus, float* minus, Out dBeta) {
    waitForEarlier();
    extern __shared__ float shared[];
    __shared__ float sums[kTile];
    float *p = shared, *x = p + kSingleScoreSize, *y = x + kTileSize<W>;
    const ScanCall& s = call.scan;
    const int chunk = static_cast<int>(blockIdx.x), bh = static_cast<int>(blockIdx.y), t = chunk * kTile,
              rows = s.rowsOf(chunk);
    const std::int64_t at = s.tokenAt(bh, t, s.width);
    float products[Tiles::kRows][Tiles::kColumns] = {}, da[Tiles::kRows][Tiles::kColumns] = {};
    keyProducts(s, bh, chunk, p, products);
    loadSingle<W>(x, up.dB + at, s.stride(s.width), rows, s.width);
    loadSingle<W>(y, call.u + at, s.stride(s.width), rows, s.width);
    __syncthreads();
    Tiles::rowsByRows<W>(x, y, da);  // −dA
    __syncthreads();
    loadSingle<W>(y, call.x + at, s.stride(s.width), rows, s.width);
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i) {
        const int row = Tiles::row(i);
        const float beta = row < rows ? call.betaAt(bh, t + row) : 0.0f;
        float sum = 0;
#pragma unroll
        for (int j = 0; j < Tiles::kColumns; ++j) {
            const int column = Tiles::column(j);
            const float faded = column < row && row < rows ? -da[i][j] * s.decay(bh, chunk, column, row) : 0.0f;
            sum += faded * products[i][j];
            p[row * kSingleScoreStride + column] = beta * faded;
        }
        sum = Tiles::rowSum(sum);
        if (Tiles::leads()) sums[row] = sum;
    }
    __syncthreads();
    const int own = static_cast<int>(threadIdx.x);
    if (own < rows) {
        float sum = sums[own];
        for (int d = 0; d < s.width; ++d) sum += x[own * kTileStride<W> + d] * y[own * kTileStride<W> + d];
        dBeta.put(s.tokenAt(bh, t + own, 1), sum);
    }
    __syncthreads();
    loadSingle<W>(y, s.k + at, s.stride(s.width), rows, s.width);
    __syncthreads();
    float toRows[Tiles::kRows][Tiles::kWide<W>] = {}, toColumns[Tiles::kRows][Tiles::kWide<W>] = {};
    Tiles::scoresByRows<W>(p, y, toRows);
    Tiles::columnsByRows<W>(p, y, toColumns);
    storeRows<Tiles, W>({plus, true}, at, s.stride(s.width), rows, s.width, 1.0f, toRows);
    storeRows<Tiles, W>({minus, true}, at, s.stride(s.width), rows, s.width, 1.0f, toColumns);
}

/// Σ over [D,D] of dL/d(state after a chunk) times that state: what the last exponent of the chunk gets.
__global__ void lastExponentKernel(Call call, const float* dStates, float* sums) {
    waitForEarlier();
    const int chunk = static_cast<int>(blockIdx.x), bh = static_cast<int>(blockIdx.y);
    const std::int64_t size = static_cast<std::int64_t>(call.scan.features) * call.scan.width,
                       at = call.chunkAt(bh, chunk) * size;
    float sum = 0;
    if (chunk + 1 < call.scan.chunks())
        for (std::int64_t i = threadIdx.x; i < size; i += kWarp) sum += dStates[at + i] * call.states[at + size + i];
    sum = warpSum(sum);
    if (threadIdx.x == 0) sums[call.chunkAt(bh, chunk)] = sum;
}

/// dq, dk = plus + minus, and the sums of log α's gradient. Every exponent is a difference of two sums G, and belongs
/// to a product of q or k with something: dG_t = ⟨q_t, dq_t⟩ + ⟨k_t, plus_t⟩ − ⟨k_t, minus_t⟩. A warp for each token.
__global__ void exponentsKernel(Call call, const float* dq, const float* plus, const float* minus, Out dk,
                                float* dSums) {
    waitForEarlier();
    const ScanCall& s = call.scan;
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
    if (row >= static_cast<std::int64_t>(s.headCount()) * s.length) return;
    const std::int64_t at = s.tokenAt(static_cast<int>(row / s.length), static_cast<int>(row % s.length), s.features);
    float sum = 0;
    for (int d = static_cast<int>(threadIdx.x); d < s.features; d += static_cast<int>(kWarp)) {
        sum += s.q[at + d] * dq[at + d] + s.k[at + d] * (plus[at + d] - minus[at + d]);
        if (dk.data != nullptr) dk.put(at + d, plus[at + d] + minus[at + d]);
    }
    sum = warpSum(sum);
    if (threadIdx.x == 0) dSums[row] = sum;
}

/// d log α_t = Σ of dG from t to the chunk's end.
void logGradients(cudaStream_t stream, const ScanCall& scan, const float* dSums, const float* last, const Out& out) {
    forEach(stream, static_cast<std::int64_t>(scan.headCount()) * scan.chunks(), "delta rule, decays",
            [=] __device__(std::int64_t i) {
                const int bh = static_cast<int>(i / scan.chunks()), chunk = static_cast<int>(i % scan.chunks());
                float sum = last[i];
                for (int row = scan.rowsOf(chunk) - 1; row >= 0; --row) {
                    const int t = chunk * kTile + row;
                    sum += dSums[scan.rowAt(bh, t)];
                    out.put(scan.tokenAt(bh, t, 1), sum);
                }
            });
}

/// Everything that the backward pass needs; lives in the tape's arena.
struct Kept {
    Call call;
    Variable q, k, v, beta, logAlpha, o;
};

void backward(const Kept& kept) {
    const Call& call = kept.call;
    const ScanCall& s = call.scan;
    DeviceContext& context = contextOf(kept.o);
    Arena& arena = kept.o.tape().arena();
    cudaStream_t stream = context.stream();
    const Shape& shape = kept.q.shape();
    const auto take = [&](const Shape& of) { return arena.tensor(of).onDeviceAs<float>(); };
    float *du = take(shape), *plus = take(shape), *minus = take(shape), *dq = take(shape);
    const Upstream up{kept.o.gradient().onDeviceAs<float>(), du, take(shape), take(shape),
                      take({s.headCount(), s.chunks(), s.features, s.width})};
    scanValues(context, s, true, up.g, nullptr, {du});
    startSingle(backwardKernel, "delta rule, backwards", walkBlocks(s), walkFloats(s), stream, call, up, outOf(kept.v));
    scanFeatures(context, s, false, up.g, call.u, call.states, {dq});
    scanFeatures(context, s, true, up.g, call.u, up.dStates, {minus});
    // Through X = V − diag(e^G)·K·S: as a query's, with −dX in the upstream's place and nothing within the chunk.
    ScanCall outside = s;
    outside.scale = -1;
    scanFeatures(context, outside, false, up.dX, nullptr, call.states, {plus});
    const dim3 blocks(static_cast<unsigned>(s.chunks()), static_cast<unsigned>(s.headCount()));
    const Variable& beta = kept.beta;
    const Out dBeta = beta.needsGradient() ? outOf(beta) : Out{take(beta.shape())};
    withWidth<ExactArithmetic>(s.width, [&]<typename, int W>() {
        startSingle(pairsBackKernel<W>, "delta rule, pairs backwards", blocks, kPairFloats<W>, stream, call, up, plus,
                    minus, dBeta);
    });
    const std::int64_t rows = static_cast<std::int64_t>(s.headCount()) * s.length;
    float *dSums = take({rows}), *last = take({s.headCount(), s.chunks()});
    launch(stream, "delta rule, backwards", {blocksFor(rows, 8), dim3(kWarp, 8)}, exponentsKernel, call, dq, plus,
           minus, outOf(kept.k), dSums);
    if (kept.q.needsGradient()) {
        const Out out = outOf(kept.q);
        forEach(stream, shape.elements(), "delta rule, dq", [=] __device__(std::int64_t i) { out.put(i, dq[i]); });
    }
    if (!kept.logAlpha || !kept.logAlpha.needsGradient()) return;
    launch(stream, "delta rule, backwards", {blocks, kWarp}, lastExponentKernel, call, up.dStates, last);
    logGradients(stream, s, dSums, last, outOf(kept.logAlpha));
}

}  // namespace

Variable deltaRule(const Variable& q, const Variable& k, const Variable& v, const Variable& beta,
                   const Variable& logAlpha) {
    Tape& tape = q.tape();
    const Shape& shape = q.shape();
    const Variable o =
        logAlpha ? tape.result(shape, q.type(), q, k, v, beta, logAlpha) : tape.result(shape, q.type(), q, k, v, beta);
    DeviceContext& context = contextOf(o);
    const auto take = [&](const Shape& of) { return tape.arena().tensor(of).onDeviceAs<float>(); };
    const auto extent = [&](int axis) { return static_cast<int>(shape[axis]); };
    Kept* kept = tape.arena().make<Kept>();
    kept->q = q;
    kept->k = k;
    kept->v = v;
    kept->beta = beta;
    kept->logAlpha = logAlpha;
    kept->o = o;
    Call& call = kept->call;
    ScanCall& s = call.scan;
    s = {.batch = extent(0),
         .length = extent(1),
         .heads = extent(2),
         .features = extent(3),
         .width = extent(3),
         .q = q.value().onDeviceAs<float>(),
         .k = k.value().onDeviceAs<float>(),
         .scale = 1.0f / std::sqrt(static_cast<float>(shape[3]))};
    call.v = v.value().onDeviceAs<float>();
    call.beta = beta.value().onDeviceAs<float>();
    float *sums = take({s.headCount(), s.length}), *inverse = take({s.headCount(), s.chunks(), kTile, kTile});
    float *u = take(shape), *x = take(shape), *states = take({s.headCount(), s.chunks(), s.features, s.width});
    sumLogs(context.stream(), s, logAlpha ? logAlpha.value().onDeviceAs<float>() : nullptr, sums);
    s.sums = sums;
    const dim3 blocks(static_cast<unsigned>(s.chunks()), static_cast<unsigned>(s.headCount()));
    startSingle(inverseKernel, "delta rule", blocks, kInverseFloats, context.stream(), call, inverse);
    call.inverse = inverse;
    startSingle(forwardKernel, "delta rule", walkBlocks(s), walkFloats(s), context.stream(), call, u, x, states);
    call.u = u;
    call.x = x;
    call.states = states;
    scanValues(context, s, false, u, states, {o.value().onDeviceAs<float>()});
    tape.record(o, [kept] { backward(*kept); });
    return o;
}

}  // namespace linscope::cuda
