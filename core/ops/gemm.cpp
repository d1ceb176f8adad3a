#include "core/ops/gemm.h"

#include <algorithm>

#include "core/base/parallel.h"

namespace linscope {
namespace {

constexpr std::int64_t kRowGrain = 4;

// Tiles of rounded factors, two of 64 KiB: they lie on the stack and stay in the second-level cache.
constexpr std::int64_t kTile = 128;

/// to [rows,columns], packed, = from, rows of `stride`, rounded.
void roundTile(const float* from, std::int64_t stride, std::int64_t rows, std::int64_t columns, float* to) {
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < columns; ++j) to[i * columns + j] = roundToBf16(from[i * stride + j]);
}

/// A product of two numbers of bfloat16 is exact in single precision, so that this is what a processor with such an
/// instruction computes, but for the order of the sum.
void multiplyRounded(const Product& p, const float* a, const float* b, float* c) {
    alignas(64) float tileA[kTile * kTile], tileB[kTile * kTile];
    for (std::int64_t column = 0; column < p.n; column += kTile)
        for (std::int64_t inner = 0; inner < p.k; inner += kTile) {
            Product part = p;
            part.precision = Precision::Single;
            part.n = std::min(kTile, p.n - column);
            part.k = std::min(kTile, p.k - inner);
            part.ldb = p.transposeB ? part.k : part.n;
            part.beta = inner == 0 ? p.beta : 1;
            roundTile(b + (p.transposeB ? column * p.ldb + inner : inner * p.ldb + column), p.ldb,
                      p.transposeB ? part.n : part.k, part.ldb, tileB);
            for (std::int64_t row = 0; row < p.m; row += kTile) {
                part.m = std::min(kTile, p.m - row);
                part.lda = p.transposeA ? part.m : part.k;
                roundTile(a + (p.transposeA ? inner * p.lda + row : row * p.lda + inner), p.lda,
                          p.transposeA ? part.k : part.m, part.lda, tileA);
                detail::multiplySingle(part, tileA, tileB, c + row * p.ldc + column);
            }
        }
}

void multiplyPart(const Product& p, const float* a, const float* b, float* c) {
    if (p.precision == Precision::Bf16 && p.k > 0)
        multiplyRounded(p, a, b, c);
    else
        detail::multiplySingle(p, a, b, c);
}

void multiplyPart(const Product& p, const double* a, const double* b, double* c) {
    detail::multiplySingle(p, a, b, c);
}

template <typename T>
void multiplyRows(const Product& p, const T* a, const T* b, T* c) {
    // Rounded tiles are the same ones whatever the number of threads.
    const std::int64_t grain = p.precision == Precision::Bf16 ? kTile : kRowGrain;
    parallelFor(p.m, grain, [&](std::int64_t begin, std::int64_t end) {
        Product part = p;
        part.m = end - begin;
        multiplyPart(part, a + (p.transposeA ? begin : begin * p.lda), b, c + begin * p.ldc);
    });
}

}  // namespace

void multiply(const Product& p, const float* a, const float* b, float* c) {
    multiplyRows(p, a, b, c);
}

void multiply(const Product& p, const double* a, const double* b, double* c) {
    multiplyRows(p, a, b, c);
}

}  // namespace linscope
