#pragma once

#include "core/attention/bf16_tiles.cuh"
#include "core/attention/exact_tiles.cuh"
#include "core/attention/tensor_tiles.cuh"

// Products of tiles that the attention kernels are made of, in three ways with one face, so that a kernel is written
// once: ExactTiles in single precision, TensorTiles on the tensor cores with factors rounded to TF32, Bf16Tiles with
// factors in bfloat16. Tiles are rows in shared memory, `Number`s padded so that neighbouring threads meet in few
// banks. A product of a tall tile (kTall rows) with a broad one (kBroad rows) is a tile of scores [kTall,kBroad].
// Each thread has some places of a result: place (i, j) of the scores is row(i), column(j); place (i, c) of a tile W
// wide is row(i), wide<W>(c). Everything is summed in single precision by one thread in one order: the same bits every
// time. taken() is a tall tile as the left factor of many products; addRowSums() and then wholeSum() sum rows of
// scores.

namespace linscope::cuda {

/// Rows of a chunk of feature attention, and of tiles there.
inline constexpr int kTile = 64;

/// Numbers of shared memory that a tile takes.
template <typename Tiles, int W>
inline constexpr int kTallSize = Tiles::kTall* Tiles::template kStride<W>;
template <typename Tiles, int W>
inline constexpr int kBroadSize = Tiles::kBroad* Tiles::template kStride<W>;

// Short rows are shared by kRowLanes neighbouring threads, threadIdx.x, and a block has kRowsOfBlock of them,
// threadIdx.y.
inline constexpr int kRowLanes = 8, kRowsOfBlock = 32;
__device__ inline float rowLanesSum(float value) {
    for (int offset = kRowLanes / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset);
    return value;
}
/// Σ_d a[d]·b[d] over the threads of a row.
template <typename A, typename B>
__device__ float dotOfRow(const A* a, const B* b, int width) {
    const int lane = static_cast<int>(threadIdx.x);
    float sum = 0;
    if (width % 4 == 0) {
        for (int d = 4 * lane; d < width; d += 4 * kRowLanes) {
            const float4 x = readFour(a + d), y = readFour(b + d);
            sum += x.x * y.x + x.y * y.y + (x.z * y.z + x.w * y.w);
        }
    } else {
        for (int d = lane; d < width; d += kRowLanes) sum += toFloat(a[d]) * toFloat(b[d]);
    }
    return rowLanesSum(sum);
}

/// loadTile() number by number, for what is not aligned; not inlined, so that it takes no registers from the others.
template <typename Tiles, int W, int Rows, typename Source>
__device__ __noinline__ void loadNumbers(typename Tiles::Number* tile, const Source* x, int stride, int rows, int width,
                                         const float* keep) {
    for (int i = static_cast<int>(threadIdx.x); i < Rows * W; i += Tiles::kThreads) {
        const int row = i / W, column = i % W;
        const bool there = row < rows && column < width && (keep == nullptr || keep[row] != 0.0f);
        tile[row * Tiles::template kStride<W> + column] =
            Tiles::number(there ? toFloat(x[static_cast<std::int64_t>(row) * stride + column]) : 0.0f);
    }
}

/// Rows [0, rows) of x, `stride` apart and `width` ≤ W wide, into a tile of `Rows`; zeros elsewhere, and in rows whose
/// keep is 0. Of bfloat16 from bfloat16 it only begins: waitForCopies() and a barrier come before it is read.
template <typename Tiles, int W, int Rows, typename Source>
__device__ void loadTile(typename Tiles::Number* tile, const Source* x, int stride, int rows, int width,
                         const float* keep = nullptr) {
    constexpr bool kCopies = std::is_same_v<Source, Bf16> && std::is_same_v<typename Tiles::Number, Bf16>;
    constexpr int kAtOnce = kCopies ? 8 : 4, kOfRow = W / kAtOnce, kRowsAtOnce = Tiles::kThreads / kOfRow,
                  kTileStride = Tiles::template kStride<W>;
    if (width % kAtOnce != 0 || stride % kAtOnce != 0 ||
        reinterpret_cast<std::uintptr_t>(x) % (kAtOnce * sizeof(Source)) != 0) {
        loadNumbers<Tiles, W, Rows>(tile, x, stride, rows, width, keep);
        return;
    }
    const int first = static_cast<int>(threadIdx.x / kOfRow), column = static_cast<int>(threadIdx.x % kOfRow) * kAtOnce;
    const Source* from = x + static_cast<std::int64_t>(first) * stride + column;
    typename Tiles::Number* to = tile + first * kTileStride + column;
    const bool inside = column < width, whole = rows >= Rows && keep == nullptr;
    constexpr int kEach = (Rows + kRowsAtOnce - 1) / kRowsAtOnce, kTogether = kEach < 8 ? kEach : 8;
    static_assert(kEach % kTogether == 0);
#pragma unroll
    for (int begin = 0; begin < kEach; begin += kTogether) {
        [[maybe_unused]] float4 numbers[kTogether]{};
#pragma unroll
        for (int n = 0; n < kTogether; ++n) {  // all of them on their way before the first is waited for
            const int row = (begin + n) * kRowsAtOnce;
            const bool there = inside && first + row < Rows &&
                               (whole || (first + row < rows && (keep == nullptr || keep[first + row] != 0.0f)));
            if constexpr (kCopies) {
                if (Rows % kRowsAtOnce == 0 || first + row < Rows) startCopy16(to + row * kTileStride, from, there);
            } else if (there) {
                numbers[n] = readFour(from);
            }
            from += static_cast<std::int64_t>(kRowsAtOnce) * stride;
        }
        if constexpr (!kCopies)
#pragma unroll
            for (int n = 0; n < kTogether; ++n) {
                const int row = (begin + n) * kRowsAtOnce;
                const float4& four = numbers[n];
                if (Rows % kRowsAtOnce == 0 || first + row < Rows)
                    writeFour(to + row * kTileStride, {Tiles::rounded(four.x), Tiles::rounded(four.y),
                                                       Tiles::rounded(four.z), Tiles::rounded(four.w)});
            }
    }
}

/// Rows of broad tiles that are loaded at a time, and tiles that shared memory has room for.
template <typename Tiles>
inline constexpr int kLoaded = Tiles::kBroad* Tiles::kParts;
template <typename Tiles>
inline constexpr int kHeld = Tiles::kStages* Tiles::kParts;

/// Broad tiles that are computed side by side, so that products of one fill the waits of another.
inline constexpr int kSideBySide = 4;

/// For the broad tiles that begin at `first`, `first` + kBroad, … < `last`: load(at, place) of kLoaded rows into the
/// tiles from `place` on, and compute(at, place, plain) for each tile when all threads see what was loaded. With two
/// stages the next rows are on their way while these are computed with. Where plain(at) says so of all rows that were
/// loaded, compute gets std::true_type, and kSideBySide tiles are computed at a time.
template <typename Tiles, typename Load, typename Plain, typename Compute>
__device__ void overTiles(int first, int last, const Load& load, const Plain& plain, const Compute& compute) {
    if constexpr (Tiles::kStages == 1) {
        for (int at = first; at < last; at += Tiles::kBroad) {
            __syncthreads();
            load(at, 0);
            __syncthreads();
            compute(at, 0, std::false_type());
        }
    } else {
        if (first < last) load(first, 0);
        endCopyGroup();
        for (int begin = first, place = 0; begin < last;
             begin += kLoaded<Tiles>, place = place == 0 ? Tiles::kParts : 0) {
            waitForCopies<0>();
            __syncthreads();
            if (begin + kLoaded<Tiles> < last) load(begin + kLoaded<Tiles>, place == 0 ? Tiles::kParts : 0);
            endCopyGroup();
            if (begin + kLoaded<Tiles> <= last && plain(begin)) {
#pragma unroll kSideBySide
                for (int tile = 0; tile < Tiles::kParts; ++tile)
                    compute(begin + tile * Tiles::kBroad, place + tile, std::true_type());
            } else {
                const int end = min(last, begin + kLoaded<Tiles>);
#pragma unroll 1
                for (int at = begin, tile = place; at < end; at += Tiles::kBroad, ++tile)
                    compute(at, tile, std::false_type());
            }
        }
    }
}

/// Before a barrier: this thread's part of the tiles that it began to load is there.
template <typename Tiles>
__device__ void finishLoads() {
    if constexpr (std::is_same_v<typename Tiles::Number, Bf16>) {
        endCopyGroup();
        waitForCopies<0>();
    }
}

/// e^x.
__device__ inline float power(float x) {
    return powerOfTwo(x * 1.4426950408889634f);
}

/// Writes a tile of scores, rows `stride` apart, from the threads' own places.
template <typename Tiles, typename To>
__device__ void storeScores(To* p, int stride, const float (&own)[Tiles::kRows][Tiles::kColumns]) {
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
        for (int j = 0; j < Tiles::kColumns; ++j)
            if constexpr (std::is_same_v<To, float>)
                p[Tiles::row(i) * stride + Tiles::column(j)] = Tiles::rounded(own[i][j]);
            else
                p[Tiles::row(i) * stride + Tiles::column(j)] = Tiles::number(own[i][j]);
}

/// Writes rows [0, rows) of a result of `width` ≤ W columns, times a factor, where rows are `stride` apart.
template <typename Tiles, int W>
__device__ void storeRows(const Out& out, std::int64_t at, std::int64_t stride, int rows, int width, float factor,
                          const float (&own)[Tiles::kRows][Tiles::template kWide<W>]) {
    if (out.data == nullptr) return;
    const bool even = (width % 2 == 0) & (stride % 2 == 0) & (at % 2 == 0);
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
        for (int c = 0; c < Tiles::template kWide<W>; c += 2) {
            const int row = Tiles::row(i), column = Tiles::template wide<W>(c);
            const std::int64_t place = at + row * stride + column;
            if (row >= rows || column >= width) continue;
            if (even) {
                out.putTwo(place, factor * own[i][c], factor * own[i][c + 1]);
            } else {
                out.put(place, factor * own[i][c]);
                if (column + 1 < width) out.put(place + 1, factor * own[i][c + 1]);
            }
        }
}

/// Writes this thread's places of a row of scores, value(j) for j, whose first `columns` numbers are at `to`.
template <typename Tiles, typename Value>
__device__ void storePlaces(const Out& to, std::int64_t at, int columns, const Value& value) {
#pragma unroll
    for (int j = 0; j < Tiles::kColumns; j += 2) {
        const int column = Tiles::column(j), next = Tiles::column(j + 1);
        if (Tiles::kPairs && (at + column) % 2 == 0 && next < columns) {
            to.putTwo(at + column, value(j), value(j + 1));
        } else {
            if (column < columns) to.put(at + column, value(j));
            if (next < columns) to.put(at + next, value(j + 1));
        }
    }
}

// Which tiles a precision computes with. Blocks, Columns and Parts are those of Bf16Tiles; the others have one size.
struct ExactArithmetic {
    template <int Blocks, int Columns, int Parts = 1>
    using Tiles = ExactTiles;
    using Number = float;
};
struct TensorArithmetic {
    template <int Blocks, int Columns, int Parts = 1>
    using Tiles = TensorTiles;
    using Number = float;
};
struct Bf16Arithmetic {
    template <int Blocks, int Columns, int Parts = 1>
    using Tiles = Bf16Tiles<Blocks, Columns, Parts>;
    using Number = Bf16;
};

/// function.operator()<Arithmetic, W>() for the least W of 32, 64 and 128 that holds `width`.
template <typename Arithmetic, typename Function>
void withWidth(int width, const Function& function) {
    if (width <= 32)
        function.template operator()<Arithmetic, 32>();
    else if (width <= 64)
        function.template operator()<Arithmetic, 64>();
    else
        function.template operator()<Arithmetic, 128>();
}
/// The same with the precision's arithmetic.
template <typename Function>
void withTiles(const DeviceContext& context, int width, const Function& function) {
    switch (context.precision()) {
        case Precision::Single:
            withWidth<ExactArithmetic>(width, function);
            break;
        case Precision::Tf32:
            withWidth<TensorArithmetic>(width, function);
            break;
        case Precision::Bf16:
            withWidth<Bf16Arithmetic>(width, function);
            break;
    }
}

/// Starts a kernel of so many threads with `bytes` of shared memory.
template <typename Tiles, typename... Parameters, typename... Arguments>
void startTiles(void (*kernel)(Parameters...), const char* name, dim3 blocks, std::size_t bytes, cudaStream_t stream,
                const Arguments&... arguments) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)), name);
    launch(stream, name, {blocks, Tiles::kThreads, bytes}, kernel, arguments...);
}

}  // namespace linscope::cuda
