#include "core/ops/gelu_product.h"

#include <algorithm>

#include "core/cuda/wgmma.cuh"
#include "core/ops/gelu.cuh"
#include "core/ops/linear_forms.cuh"

namespace linscope::cuda {
namespace {

/// Eight numbers in bfloat16: function(x), or of two of them function(x, y).
template <typename Function>
__device__ uint4 applyToEight(const Function& function, const uint4& x, const uint4& y) {
    const auto pair = [&](unsigned a, unsigned b) {
        return packBf16(function(__uint_as_float(a << 16), __uint_as_float(b << 16)),
                        function(__uint_as_float(a & 0xFFFF0000u), __uint_as_float(b & 0xFFFF0000u)));
    };
    return {pair(x.x, y.x), pair(x.y, y.y), pair(x.z, y.z), pair(x.w, y.w)};
}
__device__ uint4& eightAt(Bf16* numbers) {
    return *reinterpret_cast<uint4*>(numbers);
}
__device__ void addEight(float (&to)[8], const uint4& eight) {
    const unsigned pairs[4] = {eight.x, eight.y, eight.z, eight.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        to[2 * i] += __uint_as_float(pairs[i] << 16);
        to[2 * i + 1] += __uint_as_float(pairs[i] & 0xFFFF0000u);
    }
}

/// Of eight numbers x and the gradients of what they become.
struct Activated {
    uint4 back, hidden;
};
__device__ Activated activate(const uint4& x, const uint4& gradient, float (&sums)[8]) {
    const unsigned in[4] = {x.x, x.y, x.z, x.w}, dy[4] = {gradient.x, gradient.y, gradient.z, gradient.w};
    unsigned back[4], hidden[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const GeluParts low = geluParts(__uint_as_float(in[i] << 16)),
                        high = geluParts(__uint_as_float(in[i] & 0xFFFF0000u));
        const float first = __uint_as_float(dy[i] << 16) * low.slope,
                    second = __uint_as_float(dy[i] & 0xFFFF0000u) * high.slope;
        sums[2 * i] += first;
        sums[2 * i + 1] += second;
        back[i] = packBf16(first, second);
        hidden[i] = packBf16(low.value, high.value);
    }
    return {{back[0], back[1], back[2], back[3]}, {hidden[0], hidden[1], hidden[2], hidden[3]}};
}

// Products whose weights stay with a block: it has 128 columns of them in shared memory and goes over rows, 64 at a
// time by each of its four warpgroups. While one's rows are multiplied, the others' are activated and their next ones
// are on their way.

constexpr int kRows = 64, kColumns = 128, kGroups = 4, kBlockThreads = kGroups * kGroupThreads;
constexpr int kWarps = kBlockThreads / 32;
constexpr int kPieces = 8;  // of 16 bytes that a thread has of a product [64,128]
constexpr int kAhead = 2;   // of them that are read before they are needed

struct GeluCall {
    const Bf16* left;     ///< x [R,K], or dy [R,K]
    const Bf16* weights;  ///< [O,K] forwards, [K,O] backwards
    const float* bias;    ///< [O], forwards
    Bf16* pre;            ///< [R,O], which the backward pass reads
    Bf16* dPre;           ///< [R,O], backwards
    Bf16* hidden;         ///< [R,O]; null backwards: not asked for
    float* sums;          ///< [gridDim.y,O], backwards
    std::int64_t rows;
    int columns;  ///< O
};

template <int K>
constexpr std::size_t sharedBytes() {
    return sizeof(Bf16) * (kColumns + kGroups * kRows) * K;
}

/// Begins to load a factor [Rows,Width] from rows that are `stride` numbers apart, of which some are there; so many
/// threads take part.
template <int Rows, int Width, int Threads>
__device__ void startFactor(Bf16* bands, const Bf16* from, std::int64_t stride, std::int64_t there) {
#pragma unroll 4
    for (int i = static_cast<int>(threadIdx.x) % Threads; i < Rows * Width / 8; i += Threads) {
        const int row = i / (Width / 8), column = i % (Width / 8) * 8;
        startCopy16(bands + bandPlace<Rows>(row, column), from + (row < there ? row * stride + column : 0),
                    row < there);
    }
    endCopyGroup();
}

/// Of four words of each of four lanes that follow one another, the first of all to the first lane, and so on: a lane's
/// two columns of four pieces become one piece of eight columns.
__device__ uint4 pieceOfLanes(unsigned (&words)[4]) {
    const auto exchange = [&](int low, int high, int distance) {
        const bool upper = (threadIdx.x & static_cast<unsigned>(distance)) != 0;
        const unsigned got = __shfl_xor_sync(kAllLanes, upper ? words[low] : words[high], distance);
        (upper ? words[low] : words[high]) = got;
    };
    exchange(0, 1, 1);
    exchange(2, 3, 1);
    exchange(0, 2, 2);
    exchange(1, 3, 2);
    return {words[0], words[1], words[2], words[3]};
}

/// Of eight columns of each of the eight lanes that are four apart, the sum of one: of that whose number is the lane's
/// place among them.
__device__ float sumOfLanes(const float (&columns)[8]) {
    float kept[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) kept[i] = columns[i];
#pragma unroll
    for (int half = 4; half > 0; half /= 2) {
        const bool upper = (threadIdx.x & static_cast<unsigned>(4 * half)) != 0;
#pragma unroll
        for (int i = 0; i < half; ++i) {
            const float got = __shfl_xor_sync(kAllLanes, upper ? kept[i] : kept[i + half], 4 * half);
            kept[i] = (upper ? kept[i + half] : kept[i]) + got;
        }
    }
    return kept[0];
}

/// Blocks: columns, parts of the rows.
template <int K, bool Forward>
__global__ void __launch_bounds__(kBlockThreads, 1) geluProductKernel(const GeluCall call) {
    waitForEarlier();
    constexpr int kWeightRows = Forward ? kColumns : K;
    extern __shared__ __align__(1024) unsigned char shared[];
    Bf16* const weights = reinterpret_cast<Bf16*>(shared);  // [128,K] forwards, [K,128] backwards
    const int group = static_cast<int>(threadIdx.x) / kGroupThreads, lane = static_cast<int>(threadIdx.x % kWarp),
              firstColumn = static_cast<int>(blockIdx.x) * kColumns;
    Bf16* const left = weights + (kColumns + group * kRows) * K;  // [64,K]
    const std::int64_t step = static_cast<std::int64_t>(gridDim.y) * kGroups * kRows;
    const auto startRows = [&](std::int64_t first) {
        startFactor<kRows, K, kGroupThreads>(left, call.left + first * K, K, call.rows - first);
    };
    if constexpr (Forward)
        startFactor<kColumns, K, kBlockThreads>(weights, call.weights + static_cast<std::int64_t>(firstColumn) * K, K,
                                                kColumns);
    else
        startFactor<K, kColumns, kBlockThreads>(weights, call.weights + firstColumn, call.columns, K);
    // Few rows go to as many blocks as there are.
    std::int64_t first = (static_cast<std::int64_t>(group) * gridDim.y + blockIdx.y) * kRows;
    if (first < call.rows) startRows(first);
    waitForCopies<0>();
    showToProducts();
    __syncthreads();
    float columnSums[kPieces / 2]{};
    for (; first < call.rows; first += step) {
        // Of two rows, r and r + 8, a thread has four pieces each: every fourth one of the row.
        const int row = static_cast<int>(threadIdx.x % kGroupThreads / kWarp) * 16 + lane / 4;
        const auto there = [&](int i) { return first + row + i % 2 * 8 < call.rows; };
        const std::int64_t begin = (first + row) * call.columns + firstColumn + lane % 4 * 8;
        const auto pieceOf = [&](Bf16* numbers, int i) -> uint4& {
            return eightAt(numbers + begin + i % 2 * 8 * call.columns + i / 2 * 32);
        };
        uint4 pre[kAhead];
        const auto readPre = [&](int i) { pre[i % kAhead] = there(i) ? pieceOf(call.pre, i) : uint4{}; };
        if constexpr (!Forward)
#pragma unroll
            for (int i = 0; i < kAhead; ++i) readPre(i);

        float sum[64]{};
        const std::uint64_t a = factorAt<kRows>(left), b = factorAt<kWeightRows>(weights);
        beginProducts();
#pragma unroll
        for (int k = 0; k < K; k += 16)
            multiplyGroup<!Forward>(sum, a + toColumn<kRows>(k), b + (Forward ? toColumn<kColumns>(k) : toRow(k)));
        endProducts();
        groupBarrier(group);  // nobody reads these rows any more
        if (first + step < call.rows) startRows(first + step);
        float sums[8]{};  // of two rows
#pragma unroll
        for (int i = 0; i < kPieces; ++i) {
            unsigned words[4];
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const int n = i / 2 * 4 + j, at = 4 * n + i % 2 * 2;
                float2 bias{};
                if constexpr (Forward)
                    bias = *reinterpret_cast<const float2*>(call.bias + firstColumn + 8 * n + lane % 4 * 2);
                words[j] = packBf16(sum[at] + bias.x, sum[at + 1] + bias.y);
            }
            // Rows that are not there are zeros, which add nothing.
            const uint4 own = pieceOfLanes(words);
            const auto write = [&](Bf16* to, const uint4& eight) {
                if (there(i)) pieceOf(to, i) = eight;
            };
            if constexpr (Forward) {
                write(call.pre, own);
                write(call.hidden, applyToEight(Gelu{}, own, own));
            } else {
                const Activated both = activate(pre[i % kAhead], own, sums);
                if (i + kAhead < kPieces) readPre(i + kAhead);
                write(call.dPre, both.back);
                if (call.hidden != nullptr) write(call.hidden, both.hidden);
                if (i % 2 == 1) {
                    columnSums[i / 2] += sumOfLanes(sums);
#pragma unroll
                    for (float& one : sums) one = 0;
                }
            }
        }
        waitForCopies<0>();
        showToProducts();
        groupBarrier(group);
    }
    if constexpr (!Forward) {
        __syncthreads();
        float* const lines = reinterpret_cast<float*>(shared);  // [warps,128]
#pragma unroll
        for (int i = 0; i < kPieces / 2; ++i)
            lines[static_cast<int>(threadIdx.x / kWarp) * kColumns + i * 32 + lane % 4 * 8 + lane / 4] = columnSums[i];
        __syncthreads();
        if (threadIdx.x >= kColumns) return;
        float all = 0;
        for (int w = 0; w < kWarps; ++w) all += lines[w * kColumns + threadIdx.x];
        call.sums[static_cast<std::int64_t>(blockIdx.y) * call.columns + firstColumn + threadIdx.x] = all;
    }
}

/// As many parts of the rows as a device has room for beside these columns.
unsigned partsOf(const DeviceContext& context, std::int64_t rows, std::int64_t columns) {
    const auto across = static_cast<unsigned>(columns / kColumns);
    return std::min(blocksFor(rows, kRows), std::max(static_cast<unsigned>(context.processors()) / across, 1u));
}

template <int K, bool Forward>
void startKernel(DeviceContext& context, const GeluCall& call, unsigned parts) {
    constexpr std::size_t kBytes = sharedBytes<K>();
    const auto kernel = &geluProductKernel<K, Forward>;
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(kBytes)), "gelu");
    const dim3 blocks(static_cast<unsigned>(call.columns / kColumns), parts);
    launch(context.stream(), "a product with gelu", {blocks, kBlockThreads, kBytes}, kernel, call);
}
/// Whether there is a kernel for a layer's products [R,K]·[K,O] here.
bool hasKernel(const DeviceContext& context, std::int64_t inner, std::int64_t columns) {
    return context.hasWarpgroups() && (inner == 128 || inner == 256) && columns % kColumns == 0;
}
template <bool Forward>
void start(DeviceContext& context, const GeluCall& call, std::int64_t inner, unsigned parts) {
    inner == 256 ? startKernel<256, Forward>(context, call, parts) : startKernel<128, Forward>(context, call, parts);
}

// What is done where there is no such kernel, by number.

constexpr std::int64_t kLargeForEpilogue = std::int64_t{16} << 20;  // bytes

/// to = gelu(pre), both in bfloat16.
void geluForward(cudaStream_t stream, const Tensor& pre, const Tensor& to) {
    Bf16 *in = pre.onDeviceAs<Bf16>(), *out = to.onDeviceAs<Bf16>();
    const std::int64_t count = pre.elements(), eights = count / 8;
    forEach(stream, eights, "gelu", [=] __device__(std::int64_t i) {
        const uint4 x = eightAt(in + 8 * i);
        eightAt(out + 8 * i) = applyToEight(Gelu{}, x, x);
    });
    forEach(stream, count - 8 * eights, "gelu",
            [=] __device__(std::int64_t i) { out[8 * eights + i] = toBf16(Gelu{}(toFloat(in[8 * eights + i]), 0)); });
}

constexpr int kRowsTogether = 2;  // of a warp, whose loads are on their way at once
constexpr int kBackLines = 8;     // of a block, a warp each, whose threads have eight columns each

/// In place of dL/dgelu(pre) dL/dpre, [R,C], and what each block has summed of its rows of that [parts,C]. Blocks: 256
/// columns, parts.
__global__ void geluBackKernel(Bf16* pre, Bf16* gradient, std::int64_t rows, int columns, float* sums) {
    waitForEarlier();
    __shared__ float lines[kBackLines][8][kWarp];
    const int column = 8 * static_cast<int>(blockIdx.x * kWarp + threadIdx.x), line = static_cast<int>(threadIdx.y);
    const bool there = column < columns;
    const std::int64_t step = static_cast<std::int64_t>(gridDim.y) * kBackLines;
    float sum[8]{};
    for (std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kBackLines + line; there && first < rows;
         first += kRowsTogether * step) {
        uint4 x[kRowsTogether]{}, d[kRowsTogether]{};
        const auto placeOf = [&](int n) { return (first + n * step) * columns + column; };
#pragma unroll
        for (int n = 0; n < kRowsTogether; ++n)
            if (first + n * step < rows) {
                x[n] = eightAt(pre + placeOf(n));
                d[n] = eightAt(gradient + placeOf(n));
            }
#pragma unroll
        for (int n = 0; n < kRowsTogether; ++n) {
            const uint4 back = applyToEight(GeluBack{}, x[n], d[n]);
            if (first + n * step < rows) eightAt(gradient + placeOf(n)) = back;
            addEight(sum, back);
        }
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) lines[line][i][threadIdx.x] = sum[i];
    __syncthreads();
    if (!there) return;
    // Each warp adds one of the eight columns of all threads up.
    float own = 0;
    for (int l = 0; l < kBackLines; ++l) own += lines[l][line][threadIdx.x];
    sums[static_cast<std::int64_t>(blockIdx.y) * columns + column + line] = own;
}

/// From dL/dgelu(pre) in `gradient` dL/dpre, in the same place.
Tensor geluBackward(Arena& arena, const Tensor& pre, const Tensor& gradient) {
    const std::int64_t rows = pre.shape()[0], columns = pre.shape()[1];
    DeviceContext& context = *arena.context();
    Bf16 *in = pre.onDeviceAs<Bf16>(), *to = gradient.onDeviceAs<Bf16>();
    if (columns % 8 != 0) {
        forEach(context.stream(), pre.elements(), "gelu, backwards",
                [=] __device__(std::int64_t i) { to[i] = toBf16(GeluBack{}(toFloat(in[i]), toFloat(to[i]))); });
        return gradient;
    }
    // As many blocks as a device has room for.
    const unsigned across = blocksFor(columns, 8 * kWarp),
                   parts = std::min(blocksFor(rows, kBackLines), blocksFor(5 * context.processors(), across));
    const Tensor sums = arena.tensor({parts, columns});
    launch(context.stream(), "gelu, backwards", {dim3(across, parts), dim3(kWarp, kBackLines)}, geluBackKernel, in, to,
           rows, static_cast<int>(columns), sums.onDeviceAs<float>());
    return sums;
}

}  // namespace

void geluProduct(const Tensor& x, const Variable& weight, const Variable& bias, const Tensor& pre,
                 const Tensor& hidden) {
    DeviceContext& context = contextOf(weight);
    const std::int64_t rows = pre.shape()[0], columns = pre.shape()[1], inner = weight.shape()[1];
    const Tensor weights = roundedOf(weight);
    if (!hasKernel(context, inner, columns)) {
        const Products toPre = forwardForm(weight, bias, rows, pre);
        Products toHidden = toPre;
        toHidden.epilogue = Epilogue::Gelu;
        toHidden.pre = pre.raw();
        // Of larger values the product with it takes longer than both.
        const bool together = pre.bytes() < kLargeForEpilogue;
        if (together && context.blas().multiplyIfPossible(toHidden, x.raw(), weights.raw(), hidden.raw())) return;
        context.blas().multiply(toPre, x.raw(), weights.raw(), pre.raw());
        geluForward(context.stream(), pre, hidden);
        return;
    }
    start<true>(context,
                {.left = x.onDeviceAs<Bf16>(),
                 .weights = weights.onDeviceAs<Bf16>(),
                 .bias = bias.value().onDeviceAs<float>(),
                 .pre = pre.onDeviceAs<Bf16>(),
                 .hidden = hidden.onDeviceAs<Bf16>(),
                 .rows = rows,
                 .columns = static_cast<int>(columns)},
                inner, partsOf(context, rows, columns));
}

Tensor geluProductBack(const Tensor& dy, const Variable& weight, const Tensor& pre, const Tensor& dPre,
                       const Tensor& hidden) {
    DeviceContext& context = contextOf(weight);
    Arena& arena = weight.tape().arena();
    const std::int64_t rows = pre.shape()[0], columns = pre.shape()[1], inner = weight.shape()[0];
    const Tensor weights = roundedOf(weight);
    if (!hasKernel(context, inner, columns)) {
        if (!hidden.empty()) geluForward(context.stream(), pre, hidden);
        inputBackward(context, flowOf(dy, weight), outOf(dPre), weights);
        return geluBackward(arena, pre, dPre);
    }
    const unsigned parts = partsOf(context, rows, columns);
    const Tensor sums = arena.tensor({parts, columns});
    start<false>(context,
                 {.left = dy.onDeviceAs<Bf16>(),
                  .weights = weights.onDeviceAs<Bf16>(),
                  .pre = pre.onDeviceAs<Bf16>(),
                  .dPre = dPre.onDeviceAs<Bf16>(),
                  .hidden = hidden.empty() ? nullptr : hidden.onDeviceAs<Bf16>(),
                  .sums = sums.onDeviceAs<float>(),
                  .rows = rows,
                  .columns = static_cast<int>(columns)},
                 inner, parts);
    return sums;
}

}  // namespace linscope::cuda
