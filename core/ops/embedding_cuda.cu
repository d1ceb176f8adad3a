#include <algorithm>

#include "core/cuda/launch.cuh"
#include "core/ops/embedding.h"

namespace linscope::cuda {
namespace {

constexpr int kTokens = 1024;  // looked through at a time

/// partial [P,V,C]: of each part of the tokens and each v, the sum of the rows of dy [N,C] whose token is v, in the
/// tokens' order: one block for each, whose threads have a column each, so that the sum does not depend on who comes
/// first.
__global__ void tableGradientKernel(const std::int32_t* tokens, const float* dy, std::int64_t all, std::int64_t ofPart,
                                    int width, float* partial) {
    __shared__ std::int32_t found[kTokens];
    __shared__ int matches;
    const auto word = static_cast<std::int32_t>(blockIdx.x);
    const std::int64_t start = static_cast<std::int64_t>(blockIdx.y) * ofPart, count = min(all - start, ofPart);
    tokens += start;
    dy += start * width;
    for (int column = 0; column < width; column += static_cast<int>(blockDim.x)) {
        const int c = column + static_cast<int>(threadIdx.x);
        float sum = 0;
        for (std::int64_t begin = 0; begin < count; begin += kTokens) {
            const int part = static_cast<int>(min(static_cast<std::int64_t>(kTokens), count - begin));
            // The first warp lists the matches in order.
            if (threadIdx.x < kWarp) {
                int listed = 0;
                for (int i = 0; i < part; i += static_cast<int>(kWarp)) {
                    const int at = i + static_cast<int>(threadIdx.x);
                    const bool match = at < part && tokens[begin + at] == word;
                    const unsigned all = __ballot_sync(kAllLanes, match);
                    if (match) found[listed + __popc(all & ((1u << threadIdx.x) - 1))] = at;
                    listed += __popc(all);
                }
                if (threadIdx.x == 0) matches = listed;
            }
            __syncthreads();
            if (c < width)
                for (int i = 0; i < matches; ++i) sum += dy[(begin + found[i]) * width + c];
            __syncthreads();
        }
        if (c < width) partial[(static_cast<std::int64_t>(blockIdx.y) * gridDim.x + word) * width + c] = sum;
    }
}

void tableBackward(const Variable& table, const Variable& y, const std::int32_t* tokens) {
    const Out out = outOf(table);
    const std::int64_t words = table.shape()[0], width = table.shape()[1], size = words * width;
    const std::int64_t count = y.value().elements() / width;
    // Texts repeat some tokens often; parts share their rows out. Large tables have rare tokens.
    const std::int64_t parts = size <= (1 << 18) ? std::min<std::int64_t>(16, (count + 255) / 256) : 1;
    float* partial = y.tape().arena().tensor({parts, words, width}).onDeviceAs<float>();
    const unsigned threads = static_cast<unsigned>(width < 256 ? (width + 31) / 32 * 32 : 256);
    tableGradientKernel<<<dim3(static_cast<unsigned>(words), static_cast<unsigned>(parts)), threads, 0, streamOf(y)>>>(
        tokens, y.gradient().onDeviceAs<float>(), count, (count + parts - 1) / parts, static_cast<int>(width), partial);
    checkLaunch("embed, backwards");
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
    forEach(streamOf(y), y.value().elements(), "embed", [=] __device__(std::int64_t i) {
        const float word = rows[words[i / width] * width + i % width];
        out[i] = places != nullptr ? word + places[i % size] : word;
    });
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
