#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include "core/base/error.h"
#include "core/ops/gemm.h"
#include "core/ops/gemm_eigen.h"

namespace linscope::detail {

namespace {

void multiplyHere(const Product& p, const float* a, const float* b, float* c) {
    const dnnl_status_t status =
        dnnl_sgemm(p.transposeA ? 'T' : 'N', p.transposeB ? 'T' : 'N', p.m, p.n, p.k, static_cast<float>(p.alpha), a,
                   p.lda, b, p.ldb, static_cast<float>(p.beta), c, p.ldc);
    require(status == dnnl_success, "multiply", "a product [{},{}]x[{},{}], but oneDNN answered status {}", p.m, p.k,
            p.k, p.n, static_cast<int>(status));
}

}  // namespace

void multiplySingle(const Product& p, const float* a, const float* b, float* c) {
    if (omp_in_parallel() || omp_get_max_threads() == 1) return multiplyHere(p, a, b, c);
        // Outside a parallel loop oneDNN would share the product out by itself.
#pragma omp parallel num_threads(1)
    {
        omp_set_num_threads(1);  // of this region alone
        multiplyHere(p, a, b, c);
    }
}

void multiplySingle(const Product& p, const double* a, const double* b, double* c) {
    multiplyEigen(p, a, b, c);
}

}  // namespace linscope::detail
