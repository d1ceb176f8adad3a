#pragma once

#include <bit>
#include <cstdint>

#include "core/base/precision.h"

namespace linscope {

/// One matrix product, row-major: C = α·op(A)·op(B) + β·C, op(A) [m,k], op(B) [k,n], C [m,n].
/// The leading dimensions are the row strides of the matrices as they are stored.
struct Product {
    std::int64_t m = 0, n = 0, k = 0;
    bool transposeA = false, transposeB = false;
    std::int64_t lda = 0, ldb = 0, ldc = 0;
    double alpha = 1, beta = 0;
    Precision precision = Precision::Single;  ///< what A and B are rounded to; double precision knows no other
};

/// Rows of C are shared out to threads, and every entry is summed by one of them, so that the result does
/// not depend on their number. Inside a parallel loop it is the calling thread's alone. With β = 0, C is
/// not read.
void multiply(const Product& product, const float* a, const float* b, float* c);
void multiply(const Product& product, const double* a, const double* b, double* c);

/// The nearest number of bfloat16 (8 significant bits, single precision's exponents); of two, the even one. What is
/// beyond the greatest by half a step is infinite; NaN stays NaN.
inline float roundToBf16(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
    const bool isNaN = (bits & 0x7fffffffu) > 0x7f800000u;
    return std::bit_cast<float>(isNaN ? bits | 0x00400000u : rounded);
}

namespace detail {
/// The product on one thread: oneDNN where it is present (gemm_onednn.cpp), else Eigen (gemm_eigen.cpp).
void multiplySingle(const Product& product, const float* a, const float* b, float* c);
void multiplySingle(const Product& product, const double* a, const double* b, double* c);
}  // namespace detail

}  // namespace linscope
