#include "core/ops/matmul.h"

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/ops/gemm.h"

namespace linscope {
namespace {

struct Sizes {
    std::int64_t batches, batchesA, m, n, k;  // batchesA divides batches: a serves several
};

Sizes sizesOf(const Shape& a, const Shape& b, MatmulOptions options) {
    const int batchAxes = b.rank() - 2, batchAxesA = a.rank() - 2;
    bool fits = batchAxes >= 0 && batchAxesA >= 0 && batchAxesA <= batchAxes;
    for (int axis = 0; fits && axis < batchAxesA; ++axis) fits = a[axis] == b[axis + batchAxes - batchAxesA];
    Sizes s{};
    if (fits) {
        s = {b.product(0, batchAxes), a.product(0, batchAxesA), options.transposeA ? a[-1] : a[-2],
             options.transposeB ? b[-2] : b[-1], options.transposeA ? a[-2] : a[-1]};
        fits = s.k == (options.transposeB ? b[-1] : b[-2]);
    }
    require(fits, "matmul", "factors that fit, but got {}{} and {}{}", a.text(), options.transposeA ? "ᵀ" : "",
            b.text(), options.transposeB ? "ᵀ" : "");
    return s;
}

Shape resultShape(const Shape& b, std::int64_t m, std::int64_t n) {
    switch (b.rank()) {
        case 2:
            return {m, n};
        case 3:
            return {b[0], m, n};
        default:
            return {b[0], b[1], m, n};
    }
}

// One product per batch: c_i (+)= op(a_i)·op(b_i), with the strides between batches given (0: shared).
template <typename T>
void products(const Product& product, std::int64_t batches, const T* a, std::int64_t countA, std::int64_t sizeA,
              const T* b, std::int64_t sizeB, T* c, std::int64_t countC, std::int64_t sizeC, bool accumulate) {
    for (std::int64_t i = 0; i < batches; ++i) {
        Product p = product;
        p.beta = accumulate || i >= countC ? 1.0 : 0.0;
        multiply(p, a + i % countA * sizeA, b + i * sizeB, c + i % countC * sizeC);
    }
}

}  // namespace

Variable matmul(const Variable& a, const Variable& b, MatmulOptions options) {
    const Sizes s = sizesOf(a.shape(), b.shape(), options);
    const std::int64_t sizeA = s.m * s.k, sizeB = s.k * s.n, sizeC = s.m * s.n;
    const bool ta = options.transposeA, tb = options.transposeB;
    const std::int64_t lda = ta ? s.m : s.k, ldb = tb ? s.k : s.n;
    Tape& tape = a.tape();
    const Precision precision = tape.precision();
    const Variable y = tape.result(resultShape(b.shape(), s.m, s.n), a.type(), a, b);
    dispatchReal(a.type(), [&](auto zero) {
        using T = decltype(zero);
        products<T>({.m = s.m,
                     .n = s.n,
                     .k = s.k,
                     .transposeA = ta,
                     .transposeB = tb,
                     .lda = lda,
                     .ldb = ldb,
                     .ldc = s.n,
                     .precision = precision},
                    s.batches, a.value().as<T>(), s.batchesA, sizeA, b.value().as<T>(), sizeB, y.value().as<T>(),
                    s.batches, sizeC, false);
    });
    tape.record(y, [=] {
        dispatchReal(a.type(), [&](auto zero) {
            using T = decltype(zero);
            const T* dy = y.gradient().as<T>();
            if (a.needsGradient()) {
                const auto sink = a.gradientSink();
                // op(A) = A: dA = dY·op(B)ᵀ; op(A) = Aᵀ: dA = op(B)·dYᵀ
                for (std::int64_t i = 0; i < s.batches; ++i) {
                    const T *bi = b.value().as<T>() + i * sizeB, *di = dy + i * sizeC;
                    T* out = sink.tensor.as<T>() + i % s.batchesA * sizeA;
                    const double beta = sink.accumulate || i >= s.batchesA ? 1.0 : 0.0;
                    if (ta)
                        multiply({.m = s.k,
                                  .n = s.m,
                                  .k = s.n,
                                  .transposeA = tb,
                                  .transposeB = true,
                                  .lda = ldb,
                                  .ldb = s.n,
                                  .ldc = s.m,
                                  .beta = beta,
                                  .precision = precision},
                                 bi, di, out);
                    else
                        multiply({.m = s.m,
                                  .n = s.k,
                                  .k = s.n,
                                  .transposeB = !tb,
                                  .lda = s.n,
                                  .ldb = ldb,
                                  .ldc = s.k,
                                  .beta = beta,
                                  .precision = precision},
                                 di, bi, out);
                }
            }
            if (b.needsGradient()) {
                const auto sink = b.gradientSink();
                const double beta = sink.accumulate ? 1.0 : 0.0;
                // op(B) = B: dB = op(A)ᵀ·dY; op(B) = Bᵀ: dB = dYᵀ·op(A)
                for (std::int64_t i = 0; i < s.batches; ++i) {
                    const T *ai = a.value().as<T>() + i % s.batchesA * sizeA, *di = dy + i * sizeC;
                    T* out = sink.tensor.as<T>() + i * sizeB;
                    if (tb)
                        multiply({.m = s.n,
                                  .n = s.k,
                                  .k = s.m,
                                  .transposeA = true,
                                  .transposeB = ta,
                                  .lda = s.n,
                                  .ldb = lda,
                                  .ldc = s.k,
                                  .beta = beta,
                                  .precision = precision},
                                 di, ai, out);
                    else
                        multiply({.m = s.k,
                                  .n = s.n,
                                  .k = s.m,
                                  .transposeA = !ta,
                                  .lda = lda,
                                  .ldb = s.n,
                                  .ldc = s.n,
                                  .beta = beta,
                                  .precision = precision},
                                 ai, di, out);
                }
            }
        });
    });
    return y;
}

}  // namespace linscope
