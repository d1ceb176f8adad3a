#include "core/attention/linformer/pool.h"
#include "core/cuda/launch.cuh"

namespace linscope::cuda {
namespace {

/// One call, by value. x is [B,n,H,D].
struct Pool {
    Segments segments;
    std::int64_t batch, length, heads, width, parts, size;  // n, kernels [P,S]
    const float* keep;                                      // [B,n] or null

    std::int64_t row() const { return heads * width; }
    __device__ std::int64_t begin(std::int64_t slot) const { return slot * segments.length / segments.slots; }
    __device__ std::int64_t end(std::int64_t slot) const { return min(begin(slot + 1), length); }
    /// The slot whose segment token t is in.
    __device__ std::int64_t slotOf(std::int64_t t) const { return ((t + 1) * segments.slots - 1) / segments.length; }
    __device__ bool there(std::int64_t b, std::int64_t t) const {
        return keep == nullptr || keep[b * length + t] != 0.0f;
    }
    __device__ std::int64_t kernelAt(std::int64_t h, std::int64_t offset) const {
        return (parts == 1 ? 0 : h) * size + offset;
    }
};

Pool poolOf(const Variable& x, const Segments& segments, std::span<const float> keep) {
    const Shape& s = x.shape();
    return {segments, s[0], s[1], s[2], s[3], 1, 1, keep.empty() ? nullptr : keep.data()};
}

/// dw [P,S]: first ⟨dy, x⟩ of every token and head, and then their sums in a fixed order, a warp for each number.
__global__ void kernelGradient(Pool p, const float* dots, Out dw) {
    waitForEarlier();
    const std::int64_t i = blockIdx.x, part = i / p.size, offset = i % p.size;
    const std::int64_t perSlot = p.parts == 1 ? p.heads : 1, count = p.batch * p.segments.slots * perSlot;
    float sum = 0;
    for (std::int64_t n = threadIdx.x; n < count; n += kWarp) {
        const std::int64_t h = p.parts == 1 ? n % perSlot : part, slot = n / perSlot % p.segments.slots;
        const std::int64_t b = n / perSlot / p.segments.slots, t = p.begin(slot) + offset;
        if (t < p.end(slot)) sum += dots[(b * p.length + t) * p.heads + h];
    }
    sum = warpSum(sum);
    if (threadIdx.x == 0) dw.put(i, sum);
}

}  // namespace

Variable poolSegments(const Variable& x, const Variable& kernels, const Segments& segments,
                      std::span<const float> keep) {
    Pool p = poolOf(x, segments, keep);
    p.parts = kernels.shape()[0];
    p.size = kernels.shape()[1];
    Tape& tape = x.tape();
    const Variable y = tape.result({p.batch, segments.slots, p.heads, p.width}, x.type(), x, kernels);
    const float *in = x.value().onDeviceAs<float>(), *weights = kernels.value().onDeviceAs<float>();
    float* out = y.value().onDeviceAs<float>();
    const std::int64_t row = p.row();
    forEach(streamOf(y), y.value().elements(), "poolSegments", [=] __device__(std::int64_t i) {
        const std::int64_t slot = i / row % p.segments.slots, b = i / row / p.segments.slots, h = i % row / p.width;
        const std::int64_t begin = p.begin(slot);
        float sum = 0;
        for (std::int64_t t = begin; t < p.end(slot); ++t)
            if (p.there(b, t)) sum += weights[p.kernelAt(h, t - begin)] * in[(b * p.length + t) * row + i % row];
        out[i] = sum;
    });
    tape.record(y, [=] {
        const float* dy = y.gradient().onDeviceAs<float>();
        if (x.needsGradient()) {
            const Out dx = outOf(x);
            forEach(streamOf(y), x.value().elements(), "poolSegments, backwards", [=] __device__(std::int64_t i) {
                const std::int64_t t = i / row % p.length, b = i / row / p.length, h = i % row / p.width;
                const std::int64_t slot = p.slotOf(t);
                dx.put(i, p.there(b, t) ? weights[p.kernelAt(h, t - p.begin(slot))] *
                                              dy[(b * p.segments.slots + slot) * row + i % row]
                                        : 0.0f);
            });
        }
        if (!kernels.needsGradient()) return;
        const std::int64_t rows = p.batch * p.length * p.heads;
        float* dots = y.tape().arena().tensor({rows}).onDeviceAs<float>();
        forEach(streamOf(y), rows, "poolSegments, backwards", [=] __device__(std::int64_t i) {
            const std::int64_t t = i / p.heads % p.length, b = i / p.heads / p.length;
            float sum = 0;
            if (p.there(b, t)) {
                const std::int64_t at = (b * p.segments.slots + p.slotOf(t)) * row + i % p.heads * p.width;
                for (std::int64_t d = 0; d < p.width; ++d) sum += dy[at + d] * in[i * p.width + d];
            }
            dots[i] = sum;
        });
        launch(streamOf(y), "poolSegments, backwards", {static_cast<unsigned>(p.parts * p.size), kWarp}, kernelGradient,
               p, dots, outOf(kernels));
    });
    return y;
}

SegmentShares segmentShares(const Variable& x, const Segments& segments, std::span<const float> keep) {
    const Pool p = poolOf(x, segments, keep);
    Arena& arena = x.tape().arena();
    const std::int64_t count = p.batch * segments.slots;
    float *counts = arena.tensor({count}).onDeviceAs<float>(), *shares = arena.tensor({count}).onDeviceAs<float>();
    forEach(streamOf(x), count, "segmentCounts", [=] __device__(std::int64_t i) {
        const std::int64_t slot = i % p.segments.slots, b = i / p.segments.slots;
        float sum = 0;
        for (std::int64_t t = p.begin(slot); t < p.end(slot); ++t) sum += p.there(b, t) ? 1.0f : 0.0f;
        counts[i] = sum;
        shares[i] = sum == 0.0f ? 0.0f : 1.0f / sum;
    });
    const auto size = static_cast<std::size_t>(count);
    return {{counts, size}, {shares, size}};
}

}  // namespace linscope::cuda
