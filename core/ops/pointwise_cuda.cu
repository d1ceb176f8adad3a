#include "core/cuda/launch.cuh"
#include "core/ops/pointwise.h"

namespace linscope::cuda {
namespace {

/// Places [begin, begin + count) of axis 1 of a whole [A,B,R], beside a part [A,count,R].
struct Section {
    std::int64_t a, b, begin, count, rest;
    std::int64_t elements() const { return a * count * rest; }
    /// Where element i of the part is in the whole.
    __device__ std::int64_t inWhole(std::int64_t i) const {
        return (i / (count * rest) * b + begin) * rest + i % (count * rest);
    }
};

Section sectionOf(const Shape& whole, std::int64_t begin, std::int64_t count) {
    return {whole[0], whole[1], begin, count, whole.product(2, whole.rank())};
}

void fromWhole(cudaStream_t stream, const Section& section, const float* whole, const Out& part) {
    forEach(stream, section.elements(), "slice",
            [=] __device__(std::int64_t i) { part.put(i, whole[section.inWhole(i)]); });
}

void toWhole(cudaStream_t stream, const Section& section, const float* part, const Out& whole) {
    forEach(stream, section.elements(), "slice",
            [=] __device__(std::int64_t i) { whole.put(section.inWhole(i), part[i]); });
}

}  // namespace

Variable slice(const Variable& x, std::int64_t begin, std::int64_t count) {
    const Section section = sectionOf(x.shape(), begin, count);
    const Variable y = x.tape().result(x.shape().with(1, count), x.type(), x);
    fromWhole(streamOf(y), section, x.value().onDeviceAs<float>(), {y.value().onDeviceAs<float>()});
    x.tape().record(y, [=] {
        Out dx = outOf(x);
        if (!dx.add) contextOf(y).fill(dx.data, 0, static_cast<std::size_t>(x.value().bytes()));
        dx.add = true;
        toWhole(streamOf(y), section, y.gradient().onDeviceAs<float>(), dx);
    });
    return y;
}

Variable concatenate(std::span<const Variable> parts, const Shape& shape) {
    Tape& tape = parts[0].tape();
    bool needed = false;
    for (const Variable& part : parts) needed = needed || part.needsGradient();
    const Variable y = tape.make(tape.arena().tensor(shape, parts[0].type()), needed);
    std::int64_t begin = 0;
    for (const Variable& part : parts) {
        const Section section = sectionOf(shape, begin, part.shape()[1]);
        toWhole(streamOf(y), section, part.value().onDeviceAs<float>(), {y.value().onDeviceAs<float>()});
        if (part.needsGradient())
            tape.record(y, [=] { fromWhole(streamOf(y), section, y.gradient().onDeviceAs<float>(), outOf(part)); });
        begin += section.count;
    }
    return y;
}

}  // namespace linscope::cuda
