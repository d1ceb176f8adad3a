#include "core/attention/nystrom/landmarks.h"
#include "core/cuda/launch.cuh"

namespace linscope::cuda {
namespace {

struct Places {
    std::int32_t *segment, *size, *first;  // [B,T], [B,M], [B,M]
    float* keep;                           // [B,M]
    std::int64_t length, landmarks;        // T, M
};

/// A warp for each sample: counts the kept tokens, and then gives each its segment by its rank among them.
__global__ void shareOutKernel(Places p, const float* keep) {
    waitForEarlier();
    const std::int64_t b = blockIdx.x, lane = threadIdx.x;
    const auto kept = [&](std::int64_t t) {
        return t < p.length && (keep == nullptr || keep[b * p.length + t] != 0.0f);
    };
    std::int64_t tokens = 0;
    for (std::int64_t t = 0; t < p.length; t += kWarp) tokens += __popc(__ballot_sync(kAllLanes, kept(t + lane)));
    const std::int64_t count = min(p.landmarks, tokens);
    for (std::int64_t m = lane; m < p.landmarks; m += kWarp) {
        const std::int64_t at = b * p.landmarks + m;
        p.size[at] = m < count ? static_cast<std::int32_t>((m + 1) * tokens / count - m * tokens / count) : 0;
        p.keep[at] = m < count ? 1.0f : 0.0f;
        if (m >= count) p.first[at] = -1;
    }
    std::int64_t before = 0;
    for (std::int64_t t = 0; t < p.length; t += kWarp) {
        const unsigned all = __ballot_sync(kAllLanes, kept(t + lane));
        const std::int64_t rank = before + __popc(all & ((1u << lane) - 1u));
        before += __popc(all);
        if (t + lane >= p.length) continue;
        std::int64_t segment = -1;
        if (kept(t + lane)) {
            segment = ((rank + 1) * count - 1) / tokens;  // the last that begins at or before this rank
            if (rank == segment * tokens / count)
                p.first[b * p.landmarks + segment] = static_cast<std::int32_t>(t + lane);
        }
        p.segment[b * p.length + t + lane] = static_cast<std::int32_t>(segment);
    }
}

}  // namespace

LandmarkSegments shareOut(Arena& arena, std::int64_t batch, std::int64_t length, std::int64_t landmarks,
                          std::span<const float> keep) {
    const Shape all{batch, landmarks};
    const LandmarkSegments result{arena.tensor({batch, length}, DType::I32), arena.tensor(all, DType::I32),
                                  arena.tensor(all), arena.tensor(all, DType::I32)};
    const Places places{result.segment.onDeviceAs<std::int32_t>(),
                        result.size.onDeviceAs<std::int32_t>(),
                        result.first.onDeviceAs<std::int32_t>(),
                        result.keep.onDeviceAs<float>(),
                        length,
                        landmarks};
    launch(arena.context()->stream(), "landmarks", {static_cast<unsigned>(batch), kWarp}, shareOutKernel, places,
           keep.empty() ? nullptr : keep.data());
    return result;
}

Variable segmentMeans(const Variable& x, const LandmarkSegments& segments) {
    const Shape& s = x.shape();
    const std::int64_t length = s[1], row = s[2] * s[3], landmarks = segments.landmarks();
    const Variable y = x.tape().result({s[0], landmarks, s[2], s[3]}, x.type(), x);
    const std::int32_t *segment = segments.segment.onDeviceAs<std::int32_t>(),
                       *size = segments.size.onDeviceAs<std::int32_t>(),
                       *first = segments.first.onDeviceAs<std::int32_t>();
    const float* in = x.value().onDeviceAs<float>();
    float* out = y.value().onDeviceAs<float>();
    forEach(streamOf(y), y.value().elements(), "segmentMeans", [=] __device__(std::int64_t i) {
        const std::int64_t at = i / row, m = at % landmarks, b = at / landmarks;
        float sum = 0;
        std::int64_t t = first[at];
        for (std::int32_t found = 0; found < size[at]; ++t)
            if (segment[b * length + t] == m) {
                sum += in[(b * length + t) * row + i % row];
                ++found;
            }
        out[i] = size[at] > 1 ? sum / static_cast<float>(size[at]) : sum;
    });
    x.tape().record(y, [=] {
        const Out dx = outOf(x);
        const float* dy = y.gradient().onDeviceAs<float>();
        forEach(streamOf(y), x.value().elements(), "segmentMeans, backwards", [=] __device__(std::int64_t i) {
            const std::int64_t token = i / row, m = segment[token], at = token / length * landmarks + m;
            dx.put(i, m < 0 ? 0.0f : dy[at * row + i % row] / static_cast<float>(size[at]));
        });
    });
    return y;
}

}  // namespace linscope::cuda
