#include <cmath>

#include "core/attention/list_attend.cuh"
#include "core/attention/nystrom/landmark_inverse.h"

namespace linscope::cuda {
namespace {

/// The heads of all samples, in double precision as the processor has them (landmark_inverse.cpp). Every matrix is
/// [M,M] or [M,D]; past a sample's last segment rows and columns are 0 and stay 0: Z begins there with 0, and each step
/// multiplies it from the left.
struct Problem {
    int count, heads, m, d, iterations;  // B·H, H, M, D
    double *q, *k, *w;                   // [B·H,M,D]
    double* a;                           // [B·H,M,M]
    double* z;                           // [iterations + 1, B·H,M,M]
    double* norm;                        // [B·H] ‖A‖₁
    std::int32_t* widest;                // [B·H] the column that has it
    const float* keep;                   // [B,M]

    std::int64_t squares() const { return static_cast<std::int64_t>(count) * m * m; }
    std::int64_t rows() const { return static_cast<std::int64_t>(count) * m * d; }
    double* zOf(int iteration) const { return z + iteration * squares(); }
    __device__ bool there(std::int64_t head, int row) const { return keep[head / heads * m + row] != 0.0f; }
    /// Element i of [B·H,M,D] in [B,M,H,D].
    __device__ std::int64_t inTensor(std::int64_t i) const {
        const std::int64_t head = i / d / m, row = i / d % m;
        return ((head / heads * m + row) * heads + head % heads) * d + i % d;
    }
};

/// c = diagonal·I + α·op(a)·op(b) + β·c for every head; all matrices are packed.
struct Doubles {
    int rows, columns, inner;
    bool transposeA = false, transposeB = false;
    double alpha = 1, beta = 0, diagonal = 0;
};

constexpr int kSide = 32, kDepth = 16;  // of a block's tile of c, and of what it reads of a and b at a time

/// 16×16 threads of 2×2 places each. Blocks: tiles of columns, tiles of rows, heads.
__global__ void __launch_bounds__(256) productKernel(Doubles p, const double* a, const double* b, double* c) {
    waitForEarlier();
    __shared__ double left[kSide][kDepth + 1], right[kDepth][kSide + 1];
    const int x = static_cast<int>(threadIdx.x) % 16, y = static_cast<int>(threadIdx.x) / 16,
              row = static_cast<int>(blockIdx.y) * kSide, column = static_cast<int>(blockIdx.x) * kSide;
    const std::int64_t head = blockIdx.z;
    a += head * p.rows * p.inner;
    b += head * p.inner * p.columns;
    c += head * p.rows * p.columns;
    double sum[2][2] = {};
    for (int first = 0; first < p.inner; first += kDepth) {
        __syncthreads();
        for (int i = static_cast<int>(threadIdx.x); i < kSide * kDepth; i += 256) {
            // Neighbouring threads read neighbouring numbers, whichever way the matrix lies.
            const int ra = p.transposeA ? i % kSide : i / kDepth, ka = p.transposeA ? i / kSide : i % kDepth;
            const bool inA = row + ra < p.rows && first + ka < p.inner;
            left[ra][ka] = !inA ? 0.0
                                : a[p.transposeA ? static_cast<std::int64_t>(first + ka) * p.rows + row + ra
                                                 : static_cast<std::int64_t>(row + ra) * p.inner + first + ka];
            const int cb = p.transposeB ? i / kDepth : i % kSide, kb = p.transposeB ? i % kDepth : i / kSide;
            const bool inB = column + cb < p.columns && first + kb < p.inner;
            right[kb][cb] = !inB ? 0.0
                                 : b[p.transposeB ? static_cast<std::int64_t>(column + cb) * p.inner + first + kb
                                                  : static_cast<std::int64_t>(first + kb) * p.columns + column + cb];
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < kDepth; ++k)
#pragma unroll
            for (int i = 0; i < 2; ++i)
#pragma unroll
                for (int j = 0; j < 2; ++j) sum[i][j] += left[y + 16 * i][k] * right[k][x + 16 * j];
    }
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
            const int r = row + y + 16 * i, at = column + x + 16 * j;
            if (r >= p.rows || at >= p.columns) continue;
            double& place = c[static_cast<std::int64_t>(r) * p.columns + at];
            place = p.alpha * sum[i][j] + (p.beta != 0.0 ? p.beta * place : 0.0) + (r == at ? p.diagonal : 0.0);
        }
}

void multiply(cudaStream_t stream, int count, const Doubles& p, const double* a, const double* b, double* c) {
    const dim3 blocks(blocksFor(p.columns, kSide), blocksFor(p.rows, kSide), static_cast<unsigned>(count));
    launch(stream, "landmark inverse", {blocks, 256}, productKernel, p, a, b, c);
}

constexpr int kRowsOfWarps = 4;  // a warp each

/// Rows of scores become rows of A.
__global__ void softmaxKernel(Problem s) {
    waitForEarlier();
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRowsOfWarps + threadIdx.y;
    if (row >= static_cast<std::int64_t>(s.count) * s.m) return;
    const std::int64_t head = row / s.m;
    double* a = s.a + row * s.m;
    const int lane = static_cast<int>(threadIdx.x);
    double greatest = -INFINITY, sum = 0;
    for (int j = lane; j < s.m; j += static_cast<int>(kWarp))
        if (s.there(head, j)) greatest = fmax(greatest, a[j]);
    for (unsigned offset = kWarp / 2; offset > 0; offset /= 2)
        greatest = fmax(greatest, __shfl_xor_sync(kAllLanes, greatest, offset));
    const bool own = s.there(head, static_cast<int>(row % s.m));
    for (int j = lane; j < s.m; j += static_cast<int>(kWarp)) {
        a[j] = own && s.there(head, j) ? exp(a[j] - greatest) : 0.0;
        sum += a[j];
    }
    sum = warpSum(sum);
    for (int j = lane; own && j < s.m; j += static_cast<int>(kWarp)) a[j] /= sum;
}

/// ‖A‖₁, and the first column that has it. A warp for each head.
__global__ void normKernel(Problem s) {
    waitForEarlier();
    const std::int64_t head = blockIdx.x;
    const double* a = s.a + head * s.m * s.m;
    double norm = -1;
    int widest = s.m;
    for (int j = static_cast<int>(threadIdx.x); j < s.m; j += static_cast<int>(kWarp)) {
        double sum = 0;
        for (int i = 0; i < s.m; ++i) sum += a[static_cast<std::int64_t>(i) * s.m + j];
        if (sum > norm) norm = sum, widest = j;
    }
    for (unsigned offset = kWarp / 2; offset > 0; offset /= 2) {
        const double other = __shfl_xor_sync(kAllLanes, norm, offset);
        const int column = __shfl_xor_sync(kAllLanes, widest, offset);
        if (other > norm || (other == norm && column < widest)) norm = other, widest = column;
    }
    if (threadIdx.x != 0) return;
    s.norm[head] = norm > 0.0 ? norm : 1.0;  // a sample without a token has A = 0
    s.widest[head] = widest;
}

/// P = AZ, B₁ = 7I − P, B₂ = 15I − P·B₁, B₃ = 13I − P·B₂.
void factors(cudaStream_t stream, const Problem& s, const double* z, double* p, double* b1, double* b2, double* b3) {
    const int m = s.m;
    multiply(stream, s.count, {m, m, m}, s.a, z, p);
    forEach(stream, s.squares(), "landmark inverse", [=] __device__(std::int64_t i) {
        const std::int64_t place = i % (static_cast<std::int64_t>(m) * m);
        b1[i] = (place / m == place % m ? 7.0 : 0.0) - p[i];
    });
    multiply(stream, s.count, {.rows = m, .columns = m, .inner = m, .alpha = -1, .diagonal = 15}, p, b1, b2);
    multiply(stream, s.count, {.rows = m, .columns = m, .inner = m, .alpha = -1, .diagonal = 13}, p, b2, b3);
}

/// [B,M,H,D] as packed doubles, 0 past the last segment.
void gather(cudaStream_t stream, const Problem& s, const float* from, double* to) {
    forEach(stream, s.rows(), "landmark inverse", [=] __device__(std::int64_t i) {
        to[i] =
            s.there(i / s.d / s.m, static_cast<int>(i / s.d % s.m)) ? static_cast<double>(from[s.inTensor(i)]) : 0.0;
    });
}

void scatter(cudaStream_t stream, const Problem& s, const double* from, const Out& to) {
    if (to.data == nullptr) return;
    forEach(stream, s.rows(), "landmark inverse",
            [=] __device__(std::int64_t i) { to.put(s.inTensor(i), static_cast<float>(from[i])); });
}

void invert(cudaStream_t stream, const Problem& s, double* scratch) {
    const std::int64_t square = s.squares();
    multiply(stream, s.count,
             {.rows = s.m,
              .columns = s.m,
              .inner = s.d,
              .transposeB = true,
              .alpha = 1.0 / std::sqrt(static_cast<double>(s.d))},
             s.q, s.k, s.a);
    const std::int64_t rows = static_cast<std::int64_t>(s.count) * s.m;
    launch(stream, "landmark inverse", {blocksFor(rows, kRowsOfWarps), dim3(kWarp, kRowsOfWarps)}, softmaxKernel, s);
    launch(stream, "landmark inverse", {static_cast<unsigned>(s.count), kWarp}, normKernel, s);
    forEach(stream, square, "landmark inverse", [=] __device__(std::int64_t i) {
        const std::int64_t side = s.m, head = i / (side * side), row = i / side % side, column = i % side;
        s.z[i] = s.a[(head * side + column) * side + row] / s.norm[head];
    });
    double *p = scratch, *b1 = p + square, *b2 = b1 + square, *b3 = b2 + square;
    for (int step = 0; step < s.iterations; ++step) {
        factors(stream, s, s.zOf(step), p, b1, b2, b3);
        multiply(stream, s.count, {.rows = s.m, .columns = s.m, .inner = s.m, .alpha = 0.25}, s.zOf(step), b3,
                 s.zOf(step + 1));
    }
}

/// What ‖A‖₁ gets through Z₀ = Aᵀ/‖A‖₁. A warp for each head.
__global__ void toNormKernel(Problem s, const double* dz, double* toNorm) {
    waitForEarlier();
    const std::int64_t head = blockIdx.x, size = static_cast<std::int64_t>(s.m) * s.m;
    double sum = 0;
    for (std::int64_t i = threadIdx.x; i < size; i += kWarp) sum -= dz[head * size + i] * s.z[head * size + i];
    sum = warpSum(sum) / s.norm[head];
    if (threadIdx.x == 0) toNorm[head] = sum;
}

/// From dL/dA to the gradient of the scores, in place. A warp for each row.
__global__ void softmaxBackKernel(Problem s, double* da) {
    waitForEarlier();
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRowsOfWarps + threadIdx.y;
    if (row >= static_cast<std::int64_t>(s.count) * s.m) return;
    const double* a = s.a + row * s.m;
    double *d = da + row * s.m, dot = 0;
    for (int j = static_cast<int>(threadIdx.x); j < s.m; j += static_cast<int>(kWarp)) dot += d[j] * a[j];
    dot = warpSum(dot);
    const double scale = 1.0 / sqrt(static_cast<double>(s.d));
    for (int j = static_cast<int>(threadIdx.x); j < s.m; j += static_cast<int>(kWarp))
        d[j] = a[j] * (d[j] - dot) * scale;
}

/// dz and da from dL/dZ of the last step in dz, through all of them. Both may change places with scratch.
struct Gradients {
    double *dz, *da;
};
Gradients throughSteps(cudaStream_t stream, const Problem& s, double* dz, double* da, double* scratch) {
    const std::int64_t square = s.squares();
    double *p = scratch, *b1 = p + square, *b2 = b1 + square, *b3 = b2 + square, *dp = b3 + square, *d1 = dp + square,
           *d2 = d1 + square, *d3 = d2 + square;
    const int m = s.m;
    const auto product = [&](bool transposeA, bool transposeB, double alpha, double beta, const double* a,
                             const double* b, double* c) {
        multiply(stream, s.count, {m, m, m, transposeA, transposeB, alpha, beta}, a, b, c);
    };
    for (int step = s.iterations - 1; step >= 0; --step) {
        const double* z = s.zOf(step);
        factors(stream, s, z, p, b1, b2, b3);
        product(true, false, 0.25, 0, z, dz, d3);
        product(false, true, -1, 0, d3, b2, dp);
        product(true, false, -1, 0, p, d3, d2);
        product(false, true, -1, 1, d2, b1, dp);
        product(true, false, 1, 1, p, d2, dp);  // less dB₁ = −Pᵀ·dB₂
        product(false, true, 1, step == s.iterations - 1 ? 0 : 1, dp, z, da);
        product(false, true, 0.25, 0, dz, b3, d1);  // dL/dZ of this step, while dz is still needed
        product(true, false, 1, 1, s.a, dp, d1);
        std::swap(dz, d1);
    }
    return {dz, da};
}

/// One list of keys that everybody sees.
struct LandmarkPlan : ListCall<1> {
    __device__ bool seen(int, int, int, int) const { return true; }
    __device__ int2 keys(int, int) const { return make_int2(0, lists[0].count); }
    __device__ int2 queries(int, int) const { return make_int2(0, length); }
};

}  // namespace

Variable landmarkInverse(const Variable& q, const Variable& k, const Variable& w, const LandmarkSegments& segments,
                         std::int64_t iterations) {
    const Shape& shape = q.shape();
    Tape& tape = q.tape();
    const Variable y = tape.result(shape, q.type(), q, k, w);
    const std::int64_t count = shape[0] * shape[2], m = shape[1], d = shape[3];
    const auto take = [count](Arena& arena, std::int64_t rows, std::int64_t columns) {
        return arena.tensor({count, rows, columns}, DType::F64).onDeviceAs<double>();
    };
    Arena& arena = tape.arena();
    const Problem s{static_cast<int>(count),
                    static_cast<int>(shape[2]),
                    static_cast<int>(m),
                    static_cast<int>(d),
                    static_cast<int>(iterations),
                    take(arena, m, d),
                    take(arena, m, d),
                    take(arena, m, d),
                    take(arena, m, m),
                    take(arena, (iterations + 1) * m, m),
                    take(arena, 1, 1),
                    arena.tensor({count}, DType::I32).onDeviceAs<std::int32_t>(),
                    segments.kept().data()};
    cudaStream_t stream = streamOf(y);
    gather(stream, s, q.value().onDeviceAs<float>(), s.q);
    gather(stream, s, k.value().onDeviceAs<float>(), s.k);
    gather(stream, s, w.value().onDeviceAs<float>(), s.w);
    invert(stream, s, take(arena, 4 * m, m));
    double* result = take(arena, m, d);
    multiply(stream, s.count, {s.m, s.d, s.m}, s.zOf(s.iterations), s.w, result);
    scatter(stream, s, result, {y.value().onDeviceAs<float>()});
    tape.record(y, [=] {
        Arena& memory = y.tape().arena();
        cudaStream_t now = streamOf(y);
        double *dy = take(memory, m, d), *gradient = take(memory, m, d), *toNorm = take(memory, 1, 1);
        double *dz = take(memory, m, m), *da = take(memory, m, m);
        gather(now, s, y.gradient().onDeviceAs<float>(), dy);
        multiply(now, s.count, {.rows = s.m, .columns = s.d, .inner = s.m, .transposeA = true}, s.zOf(s.iterations), dy,
                 gradient);
        scatter(now, s, gradient, outOf(w));
        multiply(now, s.count, {.rows = s.m, .columns = s.m, .inner = s.d, .transposeB = true}, dy, s.w, dz);
        const Gradients through = throughSteps(now, s, dz, da, take(memory, 8 * m, m));
        launch(now, "landmark inverse, backwards", {static_cast<unsigned>(s.count), kWarp}, toNormKernel, s, through.dz,
               toNorm);
        forEach(now, s.squares(), "landmark inverse, backwards", [=] __device__(std::int64_t i) {
            const std::int64_t side = s.m, head = i / (side * side), row = i / side % side, column = i % side;
            through.da[i] += through.dz[(head * side + column) * side + row] / s.norm[head] +
                             (column == s.widest[head] ? toNorm[head] : 0.0);
        });
        const std::int64_t rows = count * m;
        launch(now, "landmark inverse, backwards", {blocksFor(rows, kRowsOfWarps), dim3(kWarp, kRowsOfWarps)},
               softmaxBackKernel, s, through.da);
        multiply(now, s.count, {s.m, s.d, s.m}, through.da, s.k, gradient);
        scatter(now, s, gradient, outOf(q));
        multiply(now, s.count, {.rows = s.m, .columns = s.d, .inner = s.m, .transposeA = true}, through.da, s.q,
                 gradient);
        scatter(now, s, gradient, outOf(k));
    });
    return y;
}

Variable landmarkAttend(const Variable& q, const Variable& k, const Variable& v, std::span<const float> keep) {
    LandmarkPlan plan;
    plan.live = k.shape()[1] > 1 ? 1.0f : 0.0f;
    return attendLists(plan, q, {{{k, v, keep.empty() ? nullptr : keep.data()}}});
}

}  // namespace linscope::cuda
