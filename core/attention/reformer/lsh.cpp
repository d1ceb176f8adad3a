#include "core/attention/reformer/lsh.h"

#include <algorithm>
#include <cmath>

#include "core/autograd/tape.h"
#include "core/base/parallel.h"
#include "core/ops/gemm.h"
#include "core/ops/rotary.h"

namespace linscope {
namespace {

Tensor inDouble(Arena& arena, const Tensor& x) {
    const Tensor result = arena.tensor(x.shape(), DType::F64);
    dispatchReal(x.type(), [&](auto zero) { std::copy_n(x.as<decltype(zero)>(), x.elements(), result.as<double>()); });
    return result;
}

/// The place of the greatest of [y; −y].
std::int64_t strongest(const double* y, std::int64_t directions) {
    std::int64_t best = 0;
    for (std::int64_t i = 1; i < directions; ++i)
        if (std::abs(y[i]) > std::abs(y[best])) best = i;
    return y[best] >= 0 ? best : best + directions;
}

/// Sorts the kept tokens of one head and round by bucket (counting sort, so by place within one) and numbers the
/// chunks. `starts` [buckets + 1] is scratch.
void cut(const LshSizes& sizes, std::int64_t length, const float* keep, const std::int32_t* bucket,
         std::int32_t* starts, std::int32_t* order, std::int32_t* chunk) {
    const auto kept = [&](std::int64_t t) { return keep == nullptr || keep[t] != 0.0f; };
    std::fill_n(starts, sizes.buckets + 1, 0);
    for (std::int64_t t = 0; t < length; ++t)
        if (kept(t)) ++starts[bucket[t] + 1];
    for (std::int64_t b = 0; b < sizes.buckets; ++b) starts[b + 1] += starts[b];
    const std::int32_t total = starts[sizes.buckets];
    for (std::int64_t t = 0; t < length; ++t) {
        chunk[t] = -1;
        if (kept(t)) order[starts[bucket[t]]++] = static_cast<std::int32_t>(t);
    }
    std::int32_t number = 0;
    std::int64_t inChunk = 0;
    for (std::int32_t p = 0; p < total; ++p, ++inChunk) {
        const bool newBucket = sizes.causal && p > 0 && bucket[order[p]] != bucket[order[p - 1]];
        if (newBucket)
            number += 2, inChunk = 0;  // no neighbour of the last chunk
        else if (inChunk == sizes.chunk)
            ++number, inChunk = 0;
        chunk[order[p]] = number;
    }
}

}  // namespace

std::pair<std::int64_t, std::int64_t> LshSizes::factors() const {
    if (buckets <= kUnfactored || buckets % 4 != 0) return {buckets, 1};
    const std::int64_t quarter = buckets / 4;
    std::int64_t small = 1;
    for (std::int64_t f = 1; f * f <= quarter; ++f)
        if (quarter % f == 0) small = f;
    return {2 * quarter / small, 2 * small};
}

std::int64_t LshSizes::directions() const {
    const auto [first, second] = factors();
    return first / 2 + second / 2;
}

LshChunks hashIntoChunks(Arena& arena, const Tensor& x, std::span<const float> keep, const Parameter& rotations,
                         const LshSizes& sizes) {
    if (x.onDevice()) return cuda::hashIntoChunks(arena, x, keep, rotations, sizes);
    const Shape& s = x.shape();
    const std::int64_t batch = s[0], length = s[1], heads = s[2], width = s[3], directions = sizes.directions();
    const auto [firstFactor, secondFactor] = sizes.factors();
    const Shape all{batch, heads, sizes.rounds, length};
    const LshChunks result{arena.tensor(all, DType::I32),
                           arena.tensor(all, DType::I32),
                           arena.tensor({batch}, DType::I32),
                           sizes.rounds,
                           length,
                           sizes.causal};
    for (std::int64_t b = 0; b < batch; ++b)
        result.kept.as<std::int32_t>()[b] =
            keep.empty()
                ? static_cast<std::int32_t>(length)
                : static_cast<std::int32_t>(std::count_if(keep.begin() + b * length, keep.begin() + (b + 1) * length,
                                                          [](float kept) { return kept != 0.0f; }));
    Tape tape(arena, false);
    Variable tokens = tape.constant(inDouble(arena, x));
    if (sizes.unturn) tokens = rotary(tokens, true);
    const Tensor r = inDouble(arena, rotations.value);
    for (double& entry : r.span<double>()) entry = static_cast<double>(static_cast<float>(entry));

    const std::int64_t count = batch * heads, threads = std::min<std::int64_t>(threadCount(), count);
    const Tensor projected = arena.tensor({threads, length, directions}, DType::F64),
                 buckets = arena.tensor({threads, length + sizes.buckets + 1}, DType::I32);
    parallelFor(threads, 1, [&](std::int64_t firstPart, std::int64_t lastPart) {
        for (std::int64_t part = firstPart; part < lastPart; ++part) {
            double* y = projected.as<double>() + part * length * directions;
            std::int32_t* bucket = buckets.as<std::int32_t>() + part * (length + sizes.buckets + 1);
            for (std::int64_t i = count * part / threads; i < count * (part + 1) / threads; ++i)
                for (std::int64_t round = 0; round < sizes.rounds; ++round) {
                    const std::int64_t b = i / heads, h = i % heads;
                    multiply({.m = length,
                              .n = directions,
                              .k = width,
                              .lda = heads * width,
                              .ldb = directions,
                              .ldc = directions},
                             tokens.value().as<double>() + (b * length * heads + h) * width,
                             r.as<double>() + (h * sizes.rounds + round) * width * directions, y);
                    for (std::int64_t t = 0; t < length; ++t) {
                        const double* row = y + t * directions;
                        std::int64_t hash = strongest(row, firstFactor / 2);
                        if (secondFactor > 1)
                            hash = hash * secondFactor + strongest(row + firstFactor / 2, secondFactor / 2);
                        bucket[t] = static_cast<std::int32_t>(hash);
                    }
                    const std::int64_t at = (i * sizes.rounds + round) * length;
                    cut(sizes, length, keep.empty() ? nullptr : keep.data() + b * length, bucket, bucket + length,
                        result.order.as<std::int32_t>() + at, result.chunk.as<std::int32_t>() + at);
                }
        }
    });
    return result;
}

}  // namespace linscope
