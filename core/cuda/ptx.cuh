#pragma once

#include <cstdint>

#include "core/tensor/tensor.h"

// The device's own instructions that C++ has no words for, and nothing else. Included by .cu files alone.

namespace linscope::cuda {

/// 2^x by the hardware, whose relative error is below 2⁻²²; what would be denormal is 0.
__device__ inline float powerOfTwo(float x) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

/// 1/x by the hardware, to the last bit but one.
__device__ inline float reciprocal(float x) {
    float result;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

/// To 10 bits of fraction.
__device__ inline float roundedToTf32(float value) {
#if __CUDA_ARCH__ >= 800
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
    return __uint_as_float(bits);
#else
    return value;
#endif
}

/// Two numbers to 7 bits of fraction each, the first in the lower half.
__device__ inline unsigned packBf16(float low, float high) {
#if __CUDA_ARCH__ >= 800
    unsigned bits;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
#else
    return 0;  // DeviceContext::setPrecision() refuses these devices
#endif
}
__device__ inline Bf16 toBf16(float value) {
    return {static_cast<std::uint16_t>(packBf16(value, 0.0f) & 0xFFFFu)};
}
__device__ inline float toFloat(Bf16 value) {
    return __uint_as_float(static_cast<unsigned>(value.bits) << 16);
}
__device__ inline float toFloat(float value) {
    return value;
}

/// Each of two numbers in bfloat16 times its counterpart.
__device__ inline unsigned multiplyPairs(unsigned a, unsigned b) {
#if __CUDA_ARCH__ >= 800
    unsigned bits;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(bits) : "r"(a), "r"(b), "r"(0x80008000u));
    return bits;
#else
    return 0;
#endif
}

// Products of fragments: c += a·b, of which each of a warp's threads has some numbers (PTX ISA, "Matrix fragments for
// mma"). With g = lane / 4 and t = lane % 4, c holds rows g, g, g + 8, g + 8 and columns 2t, 2t + 1, 2t, 2t + 1.

/// 16×8 and 8×8 in TF32.
__device__ inline void multiplyTf32(const float (&a)[4], float b0, float b1, float& c0, float& c1, float& c2,
                                    float& c3) {
#if __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
        : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
          "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b0)), "r"(__float_as_uint(b1)));
#else
    __trap();  // older devices have no TF32: DeviceContext::setPrecision() refuses it
#endif
}

/// 16×16 and 16×8 in bfloat16, two numbers in each of a and b.
__device__ inline void multiplyBf16(const unsigned (&a)[4], unsigned b0, unsigned b1, float& c0, float& c1, float& c2,
                                    float& c3) {
#if __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"
        : "=f"(c0), "=f"(c1), "=f"(c2), "=f"(c3)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(c0), "f"(c1), "f"(c2), "f"(c3));
#else
    __trap();
#endif
}

/// Four 8×8 matrices of shared memory as fragments; lane l gives the address of row l % 8 of matrix l / 8. Of each
/// matrix a thread gets row g, columns 2t and 2t + 1; transposed: column g, rows 2t and 2t + 1.
__device__ inline void loadMatrices(unsigned (&to)[4], const Bf16* row) {
#if __CUDA_ARCH__ >= 800
    const auto address = static_cast<unsigned>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
#endif
}
__device__ inline void loadMatricesTransposed(unsigned (&to)[4], const Bf16* row) {
#if __CUDA_ARCH__ >= 800
    const auto address = static_cast<unsigned>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
#endif
}

/// Begins to copy 16 bytes into shared memory, or writes zeros there; `from` must be an address in any case.
__device__ inline void startCopy16(void* to, const void* from, bool there) {
#if __CUDA_ARCH__ >= 800
    asm volatile(
        "cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(to))),
        "l"(from), "r"(there ? 16 : 0)
        : "memory");
#endif
}
/// What was begun since the last call is one group.
__device__ inline void endCopyGroup() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// Waits for this thread's groups but the last `Open` ones; others see what was copied after a barrier.
template <int Open>
__device__ void waitForCopies() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(Open) : "memory");
#endif
}

}  // namespace linscope::cuda
