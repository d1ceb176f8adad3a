#include "core/ops/gemm_eigen.h"

namespace linscope::detail {

void multiplySingle(const Product& p, const float* a, const float* b, float* c) {
    multiplyEigen(p, a, b, c);
}

void multiplySingle(const Product& p, const double* a, const double* b, double* c) {
    multiplyEigen(p, a, b, c);
}

}  // namespace linscope::detail
