#include <algorithm>

#include "core/cuda/launch.cuh"
#include "core/ops/embedding.h"

namespace linscope::cuda {
namespace {

constexpr int kLines = 8, kTokens = 1024;          // of a block: its warps; tokens that it looks through at a time
constexpr int kOfLine = kTokens / kLines / kWarp;  // tokens that a thread looks at

/// Lists which of tokens [0, count) are `word`, in their order, and tells how many.
__device__ int listMatches(const std::int32_t* tokens, int count, std::int32_t word, int* found) {
    __shared__ int ofLine[kLines];
    const int lane = static_cast<int>(threadIdx.x), line = static_cast<int>(threadIdx.y);
    unsigned matches[kOfLine];
    int own = 0;
#pragma unroll
    for (int n = 0; n < kOfLine; ++n) {
        const int at = (line * kOfLine + n) * static_cast<int>(kWarp) + lane;
        matches[n] = __ballot_sync(kAllLanes, at < count && tokens[at] == word);
        own += __popc(matches[n]);
    }
    if (lane == 0) ofLine[line] = own;
    __syncthreads();
    int place = 0, all = 0;
    for (int l = 0; l < kLines; ++l) {
        if (l < line) place += ofLine[l];
        all += ofLine[l];
    }
#pragma unroll
    for (int n = 0; n < kOfLine; ++n) {
        const int at = (line * kOfLine + n) * static_cast<int>(kWarp) + lane;
        if ((matches[n] >> lane & 1u) != 0) found[place + __popc(matches[n] & ((1u << lane) - 1))] = at;
        place += __popc(matches[n]);
    }
    __syncthreads();
    return all;
}

/// partial [P,V,C]: of each part of the tokens and each v, the sum of the rows of dy [N,C] whose token is v: one block
/// for each, whose warps share those rows out by their numbers, so that the sum does not depend on who comes first. Few
/// words are in a part: most of the time goes into looking for them, which is done once for all columns.
template <bool Fours>
__global__ void tableGradientKernel(const std::int32_t* tokens, const float* dy, std::int64_t all, std::int64_t ofPart,
                                    int width, float* partial) {
    waitForEarlier();
    __shared__ int found[kTokens];
    __shared__ float4 lines[kLines][kWarp];
    const auto word = static_cast<std::int32_t>(blockIdx.x);
    const int line = static_cast<int>(threadIdx.y);
    const std::int64_t start = static_cast<std::int64_t>(blockIdx.y) * ofPart, end = min(all, start + ofPart);
    float* const to = partial + (static_cast<std::int64_t>(blockIdx.y) * gridDim.x + word) * width;
    int matches = 0;
    for (int column = 4 * static_cast<int>(threadIdx.x); column - 4 * static_cast<int>(threadIdx.x) < width;
         column += 4 * static_cast<int>(kWarp)) {
        const auto read = [=](const float* row) {
            if (Fours) return readFour(row + column);
            const auto one = [=](int c) { return c < width ? row[c] : 0.0f; };
            return float4{one(column), one(column + 1), one(column + 2), one(column + 3)};
        };
        float4 sum{};
        for (std::int64_t begin = start; begin < end; begin += kTokens) {
            if (column < 4 * static_cast<int>(kWarp) || ofPart > kTokens)
                matches = listMatches(tokens + begin, static_cast<int>(min(kTokens * 1L, end - begin)), word, found);
            if (column < width)
#pragma unroll 4
                for (int i = line; i < matches; i += kLines) addFour(sum, read(dy + (begin + found[i]) * width));
            __syncthreads();
        }
        lines[line][threadIdx.x] = sum;
        __syncthreads();
        if (line == 0 && column < width) {
            for (int l = 1; l < kLines; ++l) addFour(sum, lines[l][threadIdx.x]);
            if (Fours) {
                writeFour(to + column, sum);
            } else {
                const float each[4] = {sum.x, sum.y, sum.z, sum.w};
                for (int i = 0; i < 4 && column + i < width; ++i) to[column + i] = each[i];
            }
        }
        __syncthreads();
    }
}

void tableBackward(const Variable& table, const Variable& y, const std::int32_t* tokens) {
    const Out out = outOf(table);
    const std::int64_t words = table.shape()[0], width = table.shape()[1], size = words * width;
    const std::int64_t count = y.value().elements() / width;
    // Texts repeat some tokens often; parts share their rows out. Large tables have rare tokens.
    const std::int64_t parts = size <= (1 << 18) ? std::min<std::int64_t>(16, (count + 255) / 256) : 1;
    // Beside that of the positions, which reads the same.
    const DeviceContext::Beside beside(contextOf(y), {y.gradient()});
    float* partial = y.tape().arena().tensor({parts, words, width}).onDeviceAs<float>();
    launch(streamOf(y), "embed, backwards",
           {dim3(static_cast<unsigned>(words), static_cast<unsigned>(parts)), dim3(kWarp, kLines)},
           width % 4 == 0 ? &tableGradientKernel<true> : &tableGradientKernel<false>, tokens,
           y.gradient().onDeviceAs<float>(), count, (count + parts - 1) / parts, static_cast<int>(width), partial);
    forEach(streamOf(y), size, "embed, backwards", [=] __device__(std::int64_t i) {
        float sum = 0;
        for (std::int64_t part = 0; part < parts; ++part) sum += partial[part * size + i];
        out.put(i, sum);
    });
}

void positionsBackward(const Variable& positions, const Variable& y) {
    const Out out = outOf(positions);
    const std::int64_t batch = y.shape()[0], size = y.shape()[1] * y.shape()[2], all = positions.value().elements();
    const float* dy = y.gradient().onDeviceAs<float>();
    forEach(streamOf(y), all, "embed, backwards", [=] __device__(std::int64_t i) {
        float sum = 0;
        if (i < size)
            for (std::int64_t b = 0; b < batch; ++b) sum += dy[b * size + i];
        out.put(i, sum);
    });
}

void meanBackward(const Variable& x, const Variable& y, const Tensor& weights) {
    const Out out = outOf(x);
    const std::int64_t length = x.shape()[1], width = x.shape()[2];
    const float *w = weights.onDeviceAs<float>(), *dy = y.gradient().onDeviceAs<float>();
    forEach(streamOf(y), x.value().elements(), "meanTokens, backwards", [=] __device__(std::int64_t i) {
        const std::int64_t token = i / width;
        out.put(i, w[token] * dy[token / length * width + i % width]);
    });
}

void selectBackward(const Variable& x, const Variable& y, const std::int64_t* rows) {
    const std::int64_t width = x.shape()[-1];
    const Variable::Sink sink = x.gradientSink();
    if (!sink.accumulate) contextOf(y).fill(sink.tensor.raw(), 0, static_cast<std::size_t>(sink.tensor.bytes()));
    float* out = sink.tensor.onDeviceAs<float>();
    const float* dy = y.gradient().onDeviceAs<float>();
    // Atomic for rows that are chosen twice; of rows that differ every place has one term alone.
    forEach(streamOf(y), y.value().elements(), "selectRows, backwards",
            [=] __device__(std::int64_t i) { atomicAdd(out + rows[i / width] * width + i % width, dy[i]); });
}

}  // namespace

Variable embed(std::span<const std::int32_t> tokens, std::int64_t batch, std::int64_t length, const Variable& table,
               const Variable& positions) {
    const std::int64_t width = table.shape()[1], size = length * width;
    Tape& tape = table.tape();
    const Shape shape{batch, length, width};
    const Variable y =
        positions ? tape.result(shape, table.type(), table, positions) : tape.result(shape, table.type(), table);
    const std::int32_t* words = tokens.data();
    const float* rows = table.value().onDeviceAs<float>();
    const float* places = positions ? positions.value().onDeviceAs<float>() : nullptr;
    float* out = y.value().onDeviceAs<float>();
    if (width % 4 == 0) {
        const auto perRow = static_cast<unsigned>(width / 4), perSequence = static_cast<unsigned>(size / 4);
        forEach(streamOf(y), y.value().elements() / 4, "embed", [=] __device__(std::int64_t i) {
            const auto four = static_cast<unsigned>(i);  // a division by 64 bits takes longer than all the rest
            const float4 word = readFour(rows + words[four / perRow] * width + four % perRow * 4),
                         place = places != nullptr ? readFour(places + four % perSequence * 4) : float4{};
            writeFour(out + 4 * i, {word.x + place.x, word.y + place.y, word.z + place.z, word.w + place.w});
        });
    } else {
        forEach(streamOf(y), y.value().elements(), "embed", [=] __device__(std::int64_t i) {
            const float word = rows[words[i / width] * width + i % width];
            out[i] = places != nullptr ? word + places[i % size] : word;
        });
    }
    tape.record(y, [=] {
        if (table.needsGradient()) tableBackward(table, y, words);
        if (positions && positions.needsGradient()) positionsBackward(positions, y);
    });
    return y;
}

Variable meanTokens(const Variable& x, std::span<const float> keep) {
    const std::int64_t batch = x.shape()[0], length = x.shape()[1], width = x.shape()[2];
    Tape& tape = x.tape();
    const Tensor weights = tape.arena().tensor({batch, length}, x.type());
    const Variable y = tape.result({batch, width}, x.type(), x);
    const float* kept = keep.empty() ? nullptr : keep.data();
    float *w = weights.onDeviceAs<float>(), *out = y.value().onDeviceAs<float>();
    const float* in = x.value().onDeviceAs<float>();
    forEach(streamOf(y), batch, "meanTokens", [=] __device__(std::int64_t b) {
        std::int64_t count = 0;
        for (std::int64_t t = 0; t < length; ++t) count += kept == nullptr || kept[b * length + t] != 0.0f ? 1 : 0;
        for (std::int64_t t = 0; t < length; ++t)
            w[b * length + t] =
                kept == nullptr || kept[b * length + t] != 0.0f ? 1.0f / static_cast<float>(count) : 0.0f;
    });
    forEach(streamOf(y), batch * width, "meanTokens", [=] __device__(std::int64_t i) {
        const std::int64_t b = i / width;
        float sum = 0;
        for (std::int64_t t = 0; t < length; ++t) {
            const float weight = w[b * length + t];
            if (weight != 0.0f) sum += weight * in[(b * length + t) * width + i % width];
        }
        out[i] = sum;
    });
    tape.record(y, [=] { meanBackward(x, y, weights); });
    return y;
}

Variable selectRows(const Variable& x, std::span<const std::int64_t> rows) {
    const std::int64_t width = x.shape()[-1], count = static_cast<std::int64_t>(rows.size());
    Tape& tape = x.tape();
    const Variable y = tape.result({count, width}, x.type(), x);
    const std::int64_t* chosen = rows.data();
    const float* in = x.value().onDeviceAs<float>();
    float* out = y.value().onDeviceAs<float>();
    forEach(streamOf(y), count * width, "selectRows",
            [=] __device__(std::int64_t i) { out[i] = in[chosen[i / width] * width + i % width]; });
    tape.record(y, [=] { selectBackward(x, y, chosen); });
    return y;
}

}  // namespace linscope::cuda
