#include "core/attention/linformer/pool.h"

#include <algorithm>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"

namespace linscope {
namespace {

/// Calls function(slot, offset in its segment, row of x) for the tokens of sample b that are there.
template <typename Function>
void forTokens(const Segments& segments, std::int64_t b, std::int64_t length, std::span<const float> keep,
               Function&& function) {
    for (std::int64_t slot = 0; slot < segments.slots; ++slot) {
        const std::int64_t begin = segments.begin(slot), end = std::min(segments.begin(slot + 1), length);
        for (std::int64_t t = begin; t < end; ++t)
            if (keep.empty() || keep[static_cast<std::size_t>(b * length + t)] != 0.0f)
                function(slot, t - begin, b * length + t);
    }
}

}  // namespace

Variable poolSegments(const Variable& x, const Variable& kernels, const Segments& segments,
                      std::span<const float> keep) {
    const Shape& s = x.shape();
    const std::int64_t batch = s[0], length = s[1], heads = s[2], width = s[3], row = heads * width;
    const std::int64_t parts = kernels.shape()[0], size = kernels.shape()[1];
    require(length <= segments.length && size == segments.longest() && (parts == 1 || parts == heads), "linformer",
            "at most {} tokens and kernels [1 or {}, {}], but got {} tokens and {}", segments.length, heads,
            segments.longest(), length, kernels.shape().text());
    if (x.value().onDevice()) return cuda::poolSegments(x, kernels, segments, keep);
    Tape& tape = x.tape();
    const Variable y = tape.result({batch, segments.slots, heads, width}, x.type(), x, kernels);
    dispatchReal(x.type(), [&](auto zero) {
        using T = decltype(zero);
        std::fill_n(y.value().as<T>(), y.value().elements(), T(0));
        parallelFor(batch, 1, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t b = first; b < last; ++b)
                forTokens(segments, b, length, keep, [&](std::int64_t slot, std::int64_t offset, std::int64_t token) {
                    const T* in = x.value().as<T>() + token * row;
                    T* out = y.value().as<T>() + (b * segments.slots + slot) * row;
                    for (std::int64_t h = 0; h < heads; ++h) {
                        const T weight = kernels.value().as<T>()[(parts == 1 ? 0 : h) * size + offset];
                        for (std::int64_t d = h * width; d < (h + 1) * width; ++d) out[d] += weight * in[d];
                    }
                });
        });
    });
    tape.record(y, [=] {
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            const T* dy = y.gradient().as<T>();
            if (x.needsGradient()) {
                const Variable::Sink sink = x.gradientSink();
                if (!sink.accumulate) std::fill_n(sink.tensor.as<T>(), sink.tensor.elements(), T(0));
                parallelFor(batch, 1, [&](std::int64_t first, std::int64_t last) {
                    for (std::int64_t b = first; b < last; ++b)
                        forTokens(
                            segments, b, length, keep, [&](std::int64_t slot, std::int64_t offset, std::int64_t token) {
                                const T* in = dy + (b * segments.slots + slot) * row;
                                T* out = sink.tensor.as<T>() + token * row;
                                for (std::int64_t h = 0; h < heads; ++h) {
                                    const T weight = kernels.value().as<T>()[(parts == 1 ? 0 : h) * size + offset];
                                    for (std::int64_t d = h * width; d < (h + 1) * width; ++d) out[d] += weight * in[d];
                                }
                            });
                });
            }
            if (!kernels.needsGradient()) return;
            const Variable::Sink sink = kernels.gradientSink();
            if (!sink.accumulate) std::fill_n(sink.tensor.as<T>(), sink.tensor.elements(), T(0));
            for (std::int64_t b = 0; b < batch; ++b)  // small sums, on one thread: their order is fixed
                forTokens(segments, b, length, keep, [&](std::int64_t slot, std::int64_t offset, std::int64_t token) {
                    const T *gradient = dy + (b * segments.slots + slot) * row, *in = x.value().as<T>() + token * row;
                    for (std::int64_t h = 0; h < heads; ++h) {
                        T sum = 0;
                        for (std::int64_t d = h * width; d < (h + 1) * width; ++d) sum += gradient[d] * in[d];
                        sink.tensor.as<T>()[(parts == 1 ? 0 : h) * size + offset] += sum;
                    }
                });
        });
    });
    return y;
}

SegmentShares segmentShares(const Variable& x, const Segments& segments, std::span<const float> keep) {
    if (x.value().onDevice()) return cuda::segmentShares(x, segments, keep);
    Arena& arena = x.tape().arena();
    const std::int64_t count = x.shape()[0] * segments.slots;
    const Tensor counts = arena.zeros({count}, DType::F32), shares = arena.tensor({count}, DType::F32);
    for (std::int64_t b = 0; b < x.shape()[0]; ++b)
        forTokens(segments, b, x.shape()[1], keep, [&](std::int64_t slot, std::int64_t, std::int64_t) {
            ++counts.as<float>()[b * segments.slots + slot];
        });
    for (std::int64_t i = 0; i < count; ++i)
        shares.as<float>()[i] = counts.as<float>()[i] == 0.0f ? 0.0f : 1.0f / counts.as<float>()[i];
    return {counts.span<float>(), shares.span<float>()};
}

}  // namespace linscope
