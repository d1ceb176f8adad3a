#pragma once

#include "core/cuda/ptx.cuh"

// Products of a warpgroup, four warps that follow one another from a multiple of four on, straight from shared memory
// (PTX ISA, "Asynchronous warpgroup level matrix multiply-accumulate"). On compute capability 9.0 alone: code for
// any other traps, and whoever starts it asks DeviceContext::hasWarpgroups().
//
// A factor lies in bands 64 numbers wide: rows of 128 bytes one below the other from a multiple of 1024 bytes on, in
// each of which the eight pieces of 16 bytes are turned by the row ("128-byte swizzle").

namespace linscope::cuda {

inline constexpr int kBandWidth = 64, kGroupThreads = 128;

/// Where a number of a factor with so many rows lies, in numbers from the beginning of its bands.
template <int Rows>
__device__ int bandPlace(int row, int column) {
    return (column / kBandWidth * Rows + row) * kBandWidth + ((column / 8 % 8 ^ row % 8) * 8 | column % 8);
}

/// What the hardware is told of a factor whose bands have so many rows: where it begins, the distance of atoms of eight
/// rows, and that of bands where one instruction goes over several. It is told anew in every round of a loop: kept for
/// all products of one, it would take the registers of their sums.
template <int Rows>
__device__ std::uint64_t factorAt(const Bf16* bands) {
    constexpr std::uint64_t kSwizzle128 = std::uint64_t{1} << 62, kAtom = 8 * kBandWidth * sizeof(Bf16),
                            kBand = Rows * kAtom / 8;
    std::uint64_t factor = kSwizzle128 | kAtom >> 4 << 32 | kBand >> 4 << 16 | __cvta_generic_to_shared(bands) >> 4;
    asm volatile("" : "+l"(factor));
    return factor;
}
/// What is added to reach the sixteen columns from `column` on, a multiple of 16, or the sixteen rows from `row` on.
template <int Rows>
__host__ __device__ constexpr std::uint64_t toColumn(int column) {
    return static_cast<std::uint64_t>(column / kBandWidth * Rows * kBandWidth + column % kBandWidth) * sizeof(Bf16) >>
           4;
}
__host__ __device__ constexpr std::uint64_t toRow(int row) {
    return static_cast<std::uint64_t>(row * kBandWidth) * sizeof(Bf16) >> 4;
}

/// What this thread has written to shared memory, products may read after a barrier.
__device__ inline void showToProducts() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
/// Waits for the other threads of one of several warpgroups.
__device__ inline void groupBarrier(int group) {
    asm volatile("bar.sync %0, %1;" ::"r"(group + 1), "n"(kGroupThreads) : "memory");
}

/// Around a run of products: before the first, and until the last one's sums are there.
__device__ inline void beginProducts() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
__device__ inline void endProducts() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
#endif
}

/// c += a·b: 64×16 and 16×128 in bfloat16; a's rows are the result's, b's are its columns or, `ByColumns`, b's columns.
/// Of c a thread has rows r = 16·(warp % 4) + lane / 4 and r + 8, columns 8n + 2·(lane % 4) and the next: c[4n], c[4n +
/// 1] of row r, c[4n + 2], c[4n + 3] of row r + 8.
template <bool ByColumns>
__device__ void multiplyGroup(float (&c)[64], std::uint64_t a, std::uint64_t b) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    asm volatile(
        "{\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%"
        "29,"
        "%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%"
        "57,"
        "%58,%59,%60,%61,%62,%63}, %64, %65, 1, 1, 1, 0, %66;\n"
        "}"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]), "+f"(c[4]), "+f"(c[5]), "+f"(c[6]), "+f"(c[7]), "+f"(c[8]),
          "+f"(c[9]), "+f"(c[10]), "+f"(c[11]), "+f"(c[12]), "+f"(c[13]), "+f"(c[14]), "+f"(c[15]), "+f"(c[16]),
          "+f"(c[17]), "+f"(c[18]), "+f"(c[19]), "+f"(c[20]), "+f"(c[21]), "+f"(c[22]), "+f"(c[23]), "+f"(c[24]),
          "+f"(c[25]), "+f"(c[26]), "+f"(c[27]), "+f"(c[28]), "+f"(c[29]), "+f"(c[30]), "+f"(c[31]), "+f"(c[32]),
          "+f"(c[33]), "+f"(c[34]), "+f"(c[35]), "+f"(c[36]), "+f"(c[37]), "+f"(c[38]), "+f"(c[39]), "+f"(c[40]),
          "+f"(c[41]), "+f"(c[42]), "+f"(c[43]), "+f"(c[44]), "+f"(c[45]), "+f"(c[46]), "+f"(c[47]), "+f"(c[48]),
          "+f"(c[49]), "+f"(c[50]), "+f"(c[51]), "+f"(c[52]), "+f"(c[53]), "+f"(c[54]), "+f"(c[55]), "+f"(c[56]),
          "+f"(c[57]), "+f"(c[58]), "+f"(c[59]), "+f"(c[60]), "+f"(c[61]), "+f"(c[62]), "+f"(c[63])
        : "l"(a), "l"(b), "n"(ByColumns ? 1 : 0)
        : "memory");
#else
    __trap();
#endif
}

}  // namespace linscope::cuda
