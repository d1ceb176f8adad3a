#pragma once

#include <Eigen/Core>

#include "core/ops/gemm.h"

namespace linscope {

template <typename T>
void multiplyEigen(const Product& p, const T* a, const T* b, T* c) {
    using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using Map = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;
    const Map mapA(a, p.transposeA ? p.k : p.m, p.transposeA ? p.m : p.k, Eigen::OuterStride<>(p.lda));
    const Map mapB(b, p.transposeB ? p.n : p.k, p.transposeB ? p.k : p.n, Eigen::OuterStride<>(p.ldb));
    Eigen::Map<Matrix, 0, Eigen::OuterStride<>> mapC(c, p.m, p.n, Eigen::OuterStride<>(p.ldc));
    if (p.beta == 0)
        mapC.setZero();
    else if (p.beta != 1)
        mapC *= static_cast<T>(p.beta);
    const T alpha = static_cast<T>(p.alpha);
    if (p.transposeA && p.transposeB)
        mapC.noalias() += alpha * mapA.transpose() * mapB.transpose();
    else if (p.transposeA)
        mapC.noalias() += alpha * mapA.transpose() * mapB;
    else if (p.transposeB)
        mapC.noalias() += alpha * mapA * mapB.transpose();
    else
        mapC.noalias() += alpha * mapA * mapB;
}

}  // namespace linscope
