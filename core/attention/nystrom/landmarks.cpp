#include "core/attention/nystrom/landmarks.h"

#include <algorithm>

#include "core/autograd/tape.h"
#include "core/base/parallel.h"

namespace linscope {

std::int64_t LandmarkSegments::count(std::int64_t b) const {
    const std::int32_t* sizes = size.as<std::int32_t>() + b * landmarks();
    return std::find(sizes, sizes + landmarks(), 0) - sizes;
}

std::span<const float> LandmarkSegments::kept() const {
    if (!keep.onDevice()) return keep.span<float>();
    return {keep.onDeviceAs<float>(), static_cast<std::size_t>(keep.elements())};
}

LandmarkSegments shareOut(Arena& arena, std::int64_t batch, std::int64_t length, std::int64_t landmarks,
                          std::span<const float> keep) {
    if (arena.context() != nullptr) return cuda::shareOut(arena, batch, length, landmarks, keep);
    const LandmarkSegments result{arena.tensor({batch, length}, DType::I32),
                                  arena.tensor({batch, landmarks}, DType::I32),
                                  arena.zeros({batch, landmarks}, DType::F32)};
    for (std::int64_t b = 0; b < batch; ++b) {
        const auto kept = [&](std::int64_t t) {
            return keep.empty() || keep[static_cast<std::size_t>(b * length + t)] != 0.0f;
        };
        std::int64_t tokens = 0;
        for (std::int64_t t = 0; t < length; ++t) tokens += kept(t) ? 1 : 0;
        const std::int64_t count = std::min(landmarks, tokens);
        std::int32_t* size = result.size.as<std::int32_t>() + b * landmarks;
        std::fill_n(size, landmarks, 0);
        std::fill_n(result.keep.as<float>() + b * landmarks, count, 1.0f);
        std::int64_t rank = 0, segment = 0;
        for (std::int64_t t = 0; t < length; ++t) {
            std::int32_t& own = result.segment.as<std::int32_t>()[b * length + t];
            own = -1;
            if (!kept(t)) continue;
            if (rank == (segment + 1) * tokens / count) ++segment;
            own = static_cast<std::int32_t>(segment);
            ++size[segment];
            ++rank;
        }
    }
    return result;
}

Variable segmentMeans(const Variable& x, const LandmarkSegments& segments) {
    if (x.value().onDevice()) return cuda::segmentMeans(x, segments);
    const Shape& s = x.shape();
    const std::int64_t batch = s[0], length = s[1], row = s[2] * s[3], landmarks = segments.landmarks();
    Tape& tape = x.tape();
    const Variable y = tape.result({batch, landmarks, s[2], s[3]}, x.type(), x);
    dispatchReal(x.type(), [&](auto zero) {
        using T = decltype(zero);
        parallelFor(batch, 1, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t b = first; b < last; ++b) {
                T* out = y.value().as<T>() + b * landmarks * row;
                std::fill_n(out, landmarks * row, T(0));
                for (std::int64_t t = 0; t < length; ++t) {
                    const std::int32_t segment = segments.segment.as<std::int32_t>()[b * length + t];
                    if (segment < 0) continue;
                    const T* from = x.value().as<T>() + (b * length + t) * row;
                    for (std::int64_t j = 0; j < row; ++j) out[segment * row + j] += from[j];
                }
                for (std::int64_t m = 0; m < landmarks; ++m) {
                    const std::int32_t size = segments.size.as<std::int32_t>()[b * landmarks + m];
                    for (std::int64_t j = 0; size > 1 && j < row; ++j) out[m * row + j] /= static_cast<T>(size);
                }
            }
        });
    });
    tape.record(y, [=] {
        const Variable::Sink sink = x.gradientSink();
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            parallelFor(batch * length, 64, [&](std::int64_t first, std::int64_t last) {
                for (std::int64_t i = first; i < last; ++i) {
                    const std::int32_t segment = segments.segment.as<std::int32_t>()[i];
                    const std::int64_t m = i / length * landmarks + std::max(segment, 0);
                    const T* dy = y.gradient().as<T>() + m * row;
                    const auto size = static_cast<T>(segments.size.as<std::int32_t>()[m]);
                    T* out = sink.tensor.as<T>() + i * row;
                    for (std::int64_t j = 0; j < row; ++j) {
                        const T dx = segment < 0 ? T(0) : dy[j] / size;
                        out[j] = sink.accumulate ? out[j] + dx : dx;
                    }
                }
            });
        });
    });
    return y;
}

}  // namespace linscope
