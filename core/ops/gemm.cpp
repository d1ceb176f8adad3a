#include "core/ops/gemm.h"

#include "core/base/parallel.h"

namespace linscope {
namespace {

constexpr std::int64_t kRowGrain = 4;

template <typename T>
void multiplyRows(const Product& p, const T* a, const T* b, T* c) {
    parallelFor(p.m, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
        Product part = p;
        part.m = end - begin;
        detail::multiplySingle(part, a + (p.transposeA ? begin : begin * p.lda), b, c + begin * p.ldc);
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
