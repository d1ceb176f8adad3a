#include "core/attention/reformer/lsh.h"
#include "core/cuda/launch.cuh"

namespace linscope::cuda {
namespace {

constexpr std::int32_t kPadding = 0x7FFFFFFF;  // bucket of what is not kept: sorted last

/// Sizes of one call; one list of T tokens for each head and round of a sample.
struct Lists {
    std::int64_t batch, length, heads, width, rounds, directions;
    std::int64_t count() const { return batch * heads * rounds; }
};

/// x [B,T,H,D] in double, turned back where it came turned.
void unturned(cudaStream_t stream, const Lists& s, const float* x, bool unturn, double* out) {
    forEach(stream, s.batch * s.length * s.heads * s.width, "hashing", [=] __device__(std::int64_t i) {
        const std::int64_t half = s.width / 2, d = i % s.width, t = i / (s.heads * s.width) % s.length;
        const auto own = static_cast<double>(x[i]);
        if (!unturn || d >= 2 * half) {
            out[i] = own;
            return;
        }
        const std::int64_t pair = d % half;
        const double angle =
            static_cast<double>(t) * pow(10000.0, -2.0 * static_cast<double>(pair) / static_cast<double>(s.width));
        const auto other = static_cast<double>(d < half ? x[i + half] : x[i - half]);
        out[i] = own * cos(angle) + (d < half ? other : -other) * sin(angle);
    });
}

/// The place of the greatest of [y; −y] for y = x·R, directions [first, first + count).
__device__ std::int32_t strongest(const Lists& s, const double* x, const float* rotation, std::int64_t first,
                                  std::int64_t count) {
    double best = 0;
    std::int32_t place = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        double y = 0;
        for (std::int64_t d = 0; d < s.width; ++d)
            y += x[d] * static_cast<double>(rotation[d * s.directions + first + i]);
        if (i > 0 && !(fabs(y) > fabs(best))) continue;
        best = y;
        place = static_cast<std::int32_t>(i);
    }
    return best >= 0 ? place : place + static_cast<std::int32_t>(count);
}

void hash(cudaStream_t stream, const Lists& s, const double* x, const float* rotations, const float* keep,
          std::int64_t firstFactor, std::int64_t secondFactor, std::int32_t* buckets) {
    forEach(stream, s.count() * s.length, "hashing", [=] __device__(std::int64_t i) {
        const std::int64_t t = i % s.length, list = i / s.length, h = list / s.rounds % s.heads,
                           b = list / s.rounds / s.heads;
        if (keep != nullptr && keep[b * s.length + t] == 0.0f) {
            buckets[i] = kPadding;
            return;
        }
        const double* row = x + ((b * s.length + t) * s.heads + h) * s.width;
        const float* rotation = rotations + (h * s.rounds + list % s.rounds) * s.width * s.directions;
        std::int32_t bucket = strongest(s, row, rotation, 0, firstFactor / 2);
        if (secondFactor > 1)
            bucket = bucket * static_cast<std::int32_t>(secondFactor) +
                     strongest(s, row, rotation, firstFactor / 2, secondFactor / 2);
        buckets[i] = bucket;
    });
}

/// Each token's place among those of its list, by bucket and then by its own place: how many come before it is counted,
/// T² comparisons a list, and the order is the same every time. Blocks: tokens, lists.
__global__ void sortKernel(std::int32_t length, std::int32_t chunkSize, bool causal, const std::int32_t* buckets,
                           std::int32_t* order, std::int32_t* place, std::int32_t* chunk) {
    waitForEarlier();
    __shared__ std::int32_t others[kThreads];
    const std::int64_t at = static_cast<std::int64_t>(blockIdx.y) * length;
    const int thread = static_cast<int>(threadIdx.x), t = static_cast<int>(blockIdx.x) * kThreads + thread;
    const std::int32_t own = t < length ? buckets[at + t] : kPadding;
    std::int32_t smaller = 0, earlier = 0;
    for (int first = 0; first < length; first += kThreads) {
        __syncthreads();
        if (first + thread < length) others[thread] = buckets[at + first + thread];
        __syncthreads();
        for (int i = 0; i < min(kThreads, length - first); ++i) {
            smaller += others[i] < own ? 1 : 0;
            earlier += others[i] == own && first + i < t ? 1 : 0;
        }
    }
    if (t >= length) return;
    const std::int32_t position = smaller + earlier;
    place[at + t] = position;
    order[at + position] = own == kPadding ? -1 : t;
    // Chunks of one bucket follow one another; the next bucket's first is at least two further.
    chunk[at + t] = own == kPadding ? -1 : causal ? smaller + 2 * own + earlier / chunkSize : position / chunkSize;
}

}  // namespace

LshChunks hashIntoChunks(Arena& arena, const Tensor& x, std::span<const float> keep, const Parameter& rotations,
                         const LshSizes& sizes) {
    const Shape& s = x.shape();
    const Lists lists{s[0], s[1], s[2], s[3], sizes.rounds, sizes.directions()};
    const auto [firstFactor, secondFactor] = sizes.factors();
    const Shape all{s[0], s[2], sizes.rounds, s[1]};
    LshChunks result;
    result.chunk = arena.tensor(all, DType::I32);
    result.order = arena.tensor(all, DType::I32);
    result.place = arena.tensor(all, DType::I32);
    result.rounds = sizes.rounds;
    result.length = s[1];
    result.causal = sizes.causal;
    cudaStream_t stream = arena.context()->stream();
    double* tokens = arena.tensor(s, DType::F64).onDeviceAs<double>();
    std::int32_t* buckets = arena.tensor(all, DType::I32).onDeviceAs<std::int32_t>();
    unturned(stream, lists, x.onDeviceAs<float>(), sizes.unturn, tokens);
    hash(stream, lists, tokens, rotations.onDevice.value.onDeviceAs<float>(), keep.empty() ? nullptr : keep.data(),
         firstFactor, secondFactor, buckets);
    const dim3 blocks(blocksFor(s[1], kThreads), static_cast<unsigned>(lists.count()));
    launch(stream, "sorting by hash", {blocks, kThreads}, sortKernel, static_cast<std::int32_t>(s[1]),
           static_cast<std::int32_t>(sizes.chunk), sizes.causal, buckets, result.order.onDeviceAs<std::int32_t>(),
           result.place.onDeviceAs<std::int32_t>(), result.chunk.onDeviceAs<std::int32_t>());
    return result;
}

}  // namespace linscope::cuda
