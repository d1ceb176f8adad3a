#include "core/attention/nystrom/landmark_inverse.h"

#include <algorithm>
#include <cmath>

#include "core/attention/attend.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/ops/gemm.h"

namespace linscope {
namespace {

/// One head of one sample: m landmarks of width d, all in double.
struct Problem {
    std::int64_t m, d, iterations;
    double *q, *k, *w;    // [m,d] each
    double* a;            // [m,m]
    double* z;            // [iterations + 1, m,m]
    double norm;          // ‖A‖₁
    std::int64_t widest;  // the column that has it
    double* zOf(std::int64_t iteration) const { return z + iteration * m * m; }
};

/// c [rows,columns] = α·op(a)·op(b) + β·c, all packed, `inner` terms a sum.
void product(std::int64_t rows, std::int64_t columns, std::int64_t inner, const double* a, bool transposeA,
             const double* b, bool transposeB, double* c, double alpha = 1, double beta = 0) {
    multiply({.m = rows,
              .n = columns,
              .k = inner,
              .transposeA = transposeA,
              .transposeB = transposeB,
              .lda = transposeA ? rows : inner,
              .ldb = transposeB ? inner : columns,
              .ldc = columns,
              .alpha = alpha,
              .beta = beta},
             a, b, c);
}

/// x = c·I − x
void fromIdentity(double c, double* x, std::int64_t m) {
    for (std::int64_t i = 0; i < m * m; ++i) x[i] = (i % (m + 1) == 0 ? c : 0.0) - x[i];
}

/// From Z the factors P = AZ, B₁ = 7I − P, B₂ = 15I − P·B₁, B₃ = 13I − P·B₂.
void factors(const Problem& s, const double* z, double* p, double* b1, double* b2, double* b3) {
    const std::int64_t m = s.m;
    product(m, m, m, s.a, false, z, false, p);
    std::copy_n(p, m * m, b1);
    fromIdentity(7, b1, m);
    product(m, m, m, p, false, b1, false, b2);
    fromIdentity(15, b2, m);
    product(m, m, m, p, false, b2, false, b3);
    fromIdentity(13, b3, m);
}

void softmaxOfScores(const Problem& s) {
    product(s.m, s.m, s.d, s.q, false, s.k, true, s.a, 1.0 / std::sqrt(static_cast<double>(s.d)));
    for (std::int64_t i = 0; i < s.m; ++i) {
        double* row = s.a + i * s.m;
        const double greatest = *std::max_element(row, row + s.m);
        double sum = 0;
        for (std::int64_t j = 0; j < s.m; ++j) sum += row[j] = std::exp(row[j] - greatest);
        for (std::int64_t j = 0; j < s.m; ++j) row[j] /= sum;
    }
}

/// Fills a and z. `scratch` [4,m,m].
void invert(Problem& s, double* scratch) {
    const std::int64_t m = s.m, square = m * m;
    softmaxOfScores(s);
    s.norm = -1;
    for (std::int64_t j = 0; j < m; ++j) {
        double sum = 0;
        for (std::int64_t i = 0; i < m; ++i) sum += s.a[i * m + j];
        if (sum > s.norm) s.norm = sum, s.widest = j;
    }
    for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < m; ++j) s.z[i * m + j] = s.a[j * m + i] / s.norm;
    for (std::int64_t step = 0; step < s.iterations; ++step) {
        factors(s, s.zOf(step), scratch, scratch + square, scratch + 2 * square, scratch + 3 * square);
        product(m, m, m, s.zOf(step), false, scratch + 3 * square, false, s.zOf(step + 1), 0.25);
    }
}

/// From dL/dy [m,d] the gradients dq, dk, dw [m,d]. `scratch` [10,m,m].
void backward(const Problem& s, const double* dy, double* dq, double* dk, double* dw, double* scratch) {
    const std::int64_t m = s.m, d = s.d, square = m * m;
    double *p = scratch, *b1 = p + square, *b2 = b1 + square, *b3 = b2 + square, *dp = b3 + square, *d1 = dp + square,
           *d2 = d1 + square, *d3 = d2 + square, *dz = d3 + square, *da = dz + square;
    product(m, d, m, s.zOf(s.iterations), true, dy, false, dw);
    product(m, m, d, dy, false, s.w, true, dz);
    std::fill_n(da, square, 0.0);
    for (std::int64_t step = s.iterations - 1; step >= 0; --step) {
        const double* z = s.zOf(step);
        factors(s, z, p, b1, b2, b3);
        product(m, m, m, z, true, dz, false, d3, 0.25);
        product(m, m, m, d3, false, b2, true, dp, -1);
        product(m, m, m, p, true, d3, false, d2, -1);
        product(m, m, m, d2, false, b1, true, dp, -1, 1);
        product(m, m, m, p, true, d2, false, d1, -1);
        for (std::int64_t i = 0; i < square; ++i) dp[i] -= d1[i];
        product(m, m, m, dp, false, z, true, da, 1, 1);
        product(m, m, m, dz, false, b3, true, d1, 0.25);  // dL/dZ of this step, while dz is still needed
        product(m, m, m, s.a, true, dp, false, d1, 1, 1);
        std::swap(dz, d1);
    }
    double toNorm = 0;
    for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < m; ++j) {
            da[j * m + i] += dz[i * m + j] / s.norm;
            toNorm -= dz[i * m + j] * s.z[i * m + j] / s.norm;
        }
    for (std::int64_t i = 0; i < m; ++i) da[i * m + s.widest] += toNorm;
    const double scale = 1.0 / std::sqrt(static_cast<double>(d));
    for (std::int64_t i = 0; i < m; ++i) {
        double dot = 0;
        for (std::int64_t j = 0; j < m; ++j) dot += da[i * m + j] * s.a[i * m + j];
        for (std::int64_t j = 0; j < m; ++j) da[i * m + j] = s.a[i * m + j] * (da[i * m + j] - dot) * scale;
    }
    product(m, d, m, da, false, s.k, false, dq);
    product(m, d, m, da, true, s.q, false, dk);
}

/// Rows of one head between [m, ·] at `stride` and packed doubles.
template <typename T>
void gather(const T* from, double* to, std::int64_t m, std::int64_t d, std::int64_t stride) {
    for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < d; ++j) to[i * d + j] = static_cast<double>(from[i * stride + j]);
}
template <typename T>
void scatter(const double* from, T* to, std::int64_t m, std::int64_t d, std::int64_t stride, bool add) {
    for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < d; ++j) {
            T& out = to[i * stride + j];
            out = (add ? out : T(0)) + static_cast<T>(from[i * d + j]);
        }
}

}  // namespace

Variable landmarkInverse(const Variable& q, const Variable& k, const Variable& w, const LandmarkSegments& segments,
                         std::int64_t iterations) {
    const Shape& shape = q.shape();
    require(shape.rank() == 4 && k.shape() == shape && w.shape() == shape && shape[1] == segments.landmarks(),
            "landmark inverse", "landmarks q, k, w [B,M,H,D] of one shape, but got {}, {}, {}", shape.text(),
            k.shape().text(), w.shape().text());
    if (q.value().onDevice()) return cuda::landmarkInverse(q, k, w, segments, iterations);
    const std::int64_t landmarks = shape[1], heads = shape[2], d = shape[3], count = shape[0] * heads,
                       stride = heads * d, square = landmarks * landmarks, rows = landmarks * d;
    Tape& tape = q.tape();
    const Variable y = tape.result(shape, q.type(), q, k, w);
    // Kept for the backward pass: q, k, w, A and every Z of each head.
    const Tensor kept = tape.arena().tensor({count, 3 * rows + (iterations + 2) * square}, DType::F64);
    Problem* problems = static_cast<Problem*>(tape.arena().allocate(sizeof(Problem) * static_cast<std::size_t>(count)));
    const auto atOf = [=](std::int64_t i) { return i / heads * landmarks * stride + i % heads * d; };
    const auto forThreads = [count](Arena& arena, std::int64_t scratch, auto&& function) {
        const std::int64_t threads = std::min<std::int64_t>(threadCount(), count);
        double* memory = arena.tensor({threads, scratch}, DType::F64).as<double>();
        parallelFor(threads, 1, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t part = first; part < last; ++part)
                for (std::int64_t i = count * part / threads; i < count * (part + 1) / threads; ++i)
                    function(i, memory + part * scratch);
        });
    };
    dispatchReal(q.type(), [&](auto zero) {
        using T = decltype(zero);
        forThreads(tape.arena(), 4 * square + rows, [&](std::int64_t i, double* scratch) {
            double* memory = kept.as<double>() + i * (3 * rows + (iterations + 2) * square);
            const std::int64_t m = segments.count(i / heads);
            Problem& s = problems[i];
            s = {m,
                 d,
                 iterations,
                 memory,
                 memory + rows,
                 memory + 2 * rows,
                 memory + 3 * rows,
                 memory + 3 * rows + square,
                 0,
                 0};
            T* out = y.value().as<T>() + atOf(i);
            for (std::int64_t row = m; row < landmarks; ++row) std::fill_n(out + row * stride, d, T(0));
            if (m == 0) return;
            gather(q.value().as<T>() + atOf(i), s.q, m, d, stride);
            gather(k.value().as<T>() + atOf(i), s.k, m, d, stride);
            gather(w.value().as<T>() + atOf(i), s.w, m, d, stride);
            invert(s, scratch);
            product(m, d, m, s.zOf(iterations), false, s.w, false, scratch + 4 * square);
            scatter(scratch + 4 * square, out, m, d, stride, false);
        });
    });
    tape.record(y, [=] {
        dispatchReal(q.type(), [&](auto zero) {
            using T = decltype(zero);
            Arena& arena = y.tape().arena();
            const auto sinkOf = [&](const Variable& x) {
                return x.needsGradient() ? x.gradientSink() : Variable::Sink{arena.tensor(x.shape(), x.type()), false};
            };
            const Variable::Sink sinks[] = {sinkOf(q), sinkOf(k), sinkOf(w)};
            forThreads(arena, 10 * square + 4 * rows, [&](std::int64_t i, double* scratch) {
                const Problem& s = problems[i];
                double *dy = scratch, *gradients = scratch + rows;
                gather(y.gradient().as<T>() + atOf(i), dy, s.m, d, stride);
                if (s.m > 0) backward(s, dy, gradients, gradients + rows, gradients + 2 * rows, gradients + 3 * rows);
                for (std::int64_t part = 0; part < 3; ++part) {
                    T* out = sinks[part].tensor.template as<T>() + atOf(i);
                    scatter(gradients + part * rows, out, s.m, d, stride, sinks[part].accumulate);
                    for (std::int64_t row = s.m; row < landmarks && !sinks[part].accumulate; ++row)
                        std::fill_n(out + row * stride, d, T(0));
                }
            });
        });
    });
    return y;
}

Variable landmarkAttend(const Variable& q, const Variable& k, const Variable& v, std::span<const float> keep) {
    if (q.value().onDevice()) return cuda::landmarkAttend(q, k, v, keep);
    return attend(q, k, v, {.keep = keep});
}

}  // namespace linscope
