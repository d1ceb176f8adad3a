#include "core/attention/linformer/pooled.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/attention/softmax_attention.h"
#include "core/autograd/tape.h"
#include "core/cuda/context.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/pointwise.h"

namespace linscope {
namespace {

Tensor onesOf(Arena& arena, const Shape& shape, DType type) {
    const Tensor ones = arena.tensor(shape, type);
    if (arena.context() != nullptr) {
        arena.context()->fillNumbers(ones.onDeviceAs<float>(), 1.0f, ones.elements());
        return ones;
    }
    dispatchReal(type, [&](auto zero) { std::ranges::fill(ones.span<decltype(zero)>(), decltype(zero)(1)); });
    return ones;
}

/// The matrices [P,K,n] that kernels [P,S] stand for, in plain operations.
Variable spread(const Variable& kernels, const Segments& segments, std::int64_t length) {
    Arena& arena = kernels.tape().arena();
    const std::int64_t parts = kernels.shape()[0], size = kernels.shape()[1];
    const Tensor places = arena.zeros({size, length}, kernels.type());
    const Tensor inside = arena.zeros({segments.slots, length}, kernels.type());
    dispatchReal(kernels.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t slot = 0; slot < segments.slots; ++slot)
            for (std::int64_t t = segments.begin(slot); t < std::min(segments.begin(slot + 1), length); ++t) {
                places.as<T>()[(t - segments.begin(slot)) * length + t] = 1;
                inside.as<T>()[slot * length + t] = 1;
            }
    });
    const Variable rows = matmul(kernels, kernels.tape().constant(places));  // [P,n]
    const std::vector<Variable> each(static_cast<std::size_t>(segments.slots), rows);
    const Variable repeated = swapMiddle(reshape(stack(each), {1, segments.slots, parts, length}));  // [1,P,K,n]
    return reshape(multiplyConstant(repeated, inside), {parts, segments.slots, length});
}

}  // namespace

PooledLinformer::PooledLinformer(const LinformerOptions& options, const AttentionSizes& sizes,
                                 ParameterStore& parameters)
    : Mechanism(sizes), m_mean(options.kind == "mean") {
    const Sharing sharing = options.sharingMode();
    for (std::int64_t layer = 0; layer < sizes.layers; ++layer) {
        const std::int64_t slots = options.slotsOf(layer);
        const std::string prefix = fmt::format("attention.layer{}.", layer);
        const int at = static_cast<int>(layer);
        const bool perHead = sharing == Sharing::None && !m_mean;
        // A mean has nothing to learn and so nothing to share: one matrix for each layer's E and F.
        if (sharing == Sharing::Layerwise)
            m_e.push_back(layer == 0 ? makePooling({"attention.", "E", slots, -1}, perHead, parameters) : m_e[0]);
        else
            m_e.push_back(makePooling({prefix, "E", slots, at}, perHead, parameters));
        const bool same = m_mean || sharing == Sharing::Layerwise || sharing == Sharing::KeyValue;
        m_f.push_back(same ? m_e.back() : makePooling({prefix, "F", slots, at}, perHead, parameters));
    }
}

PooledLinformer::Pooling PooledLinformer::makePooling(const ProjectionPlace& place, bool perHead,
                                                      ParameterStore& parameters) {
    Pooling pooling;
    pooling.segments = {sizes().length, place.slots};
    const std::int64_t parts = perHead ? sizes().heads : 1, size = pooling.segments.longest();
    if (!m_mean)  // near the mean at first
        pooling.kernels = &parameters.add(place.prefix + place.name + "_kernel", {parts, size},
                                          {.mean = 1.0 / static_cast<double>(size),
                                           .standardDeviation = 0.1 / static_cast<double>(size),
                                           .decay = false,
                                           .projection = true});
    for (std::int64_t head = 0; head < parts; ++head) {
        const std::string name = perHead ? fmt::format("{}{}_head{}", place.prefix, place.name, head)
                                         : fmt::format("{}{}", place.prefix, place.name);
        Parameter* matrix = &parameters.add(name, {place.slots, sizes().length}, {.decay = false, .buffer = true});
        addProjection(place.name, place.layer, perHead ? static_cast<int>(head) : -1, matrix);
        pooling.matrices.push_back(matrix);
    }
    return pooling;
}

void PooledLinformer::refreshProjections() const {
    for (const auto* all : {&m_e, &m_f})
        for (const Pooling& pooling : *all)
            for (std::size_t part = 0; part < pooling.matrices.size(); ++part) {
                const Tensor& matrix = pooling.matrices[part]->value;
                const Segments& segments = pooling.segments;
                dispatchReal(matrix.type(), [&](auto zero) {
                    using T = decltype(zero);
                    for (std::int64_t slot = 0; slot < segments.slots; ++slot) {
                        const std::int64_t begin = segments.begin(slot), end = segments.begin(slot + 1);
                        for (std::int64_t t = begin; t < end; ++t)
                            matrix.as<T>()[slot * segments.length + t] =
                                m_mean ? T(1) / T(end - begin)
                                       : pooling.kernels->value
                                             .as<T>()[static_cast<std::int64_t>(part) * segments.longest() + t - begin];
                    }
                });
            }
}

Variable PooledLinformer::kernelsOf(Tape& tape, const Pooling& pooling, DType type) const {
    if (pooling.kernels != nullptr) return leafOf(tape, *pooling.kernels);
    return tape.constant(onesOf(tape.arena(), {1, pooling.segments.longest()}, type));
}

Variable PooledLinformer::pooled(const Pooling& pooling, const Variable& x, std::span<const float> keep,
                                 bool naive) const {
    const Variable kernels = kernelsOf(x.tape(), pooling, x.type());
    if (!naive) return poolSegments(x, kernels, pooling.segments, keep);
    Variable matrices = spread(kernels, pooling.segments, x.shape()[1]);
    if (matrices.shape()[0] == 1) matrices = reshape(matrices, {pooling.segments.slots, x.shape()[1]});
    return swapMiddle(matmul(matrices, swapMiddle(withoutPadding(x, keep))));
}

Variable PooledLinformer::run(const AttentionInput& input, bool naive) const {
    const auto layer = static_cast<std::size_t>(input.layer);
    Variable k = pooled(m_e[layer], input.k, input.keep, naive), v = pooled(m_f[layer], input.v, input.keep, naive);
    AttendOptions options;
    if (m_mean) {  // the mean of the tokens that are there; a slot without a token is none
        const SegmentShares shares = segmentShares(input.k, m_e[layer].segments, input.keep);
        options.keep = shares.counts;
        k = withoutPadding(k, shares.shares);
        v = withoutPadding(v, shares.shares);
    }
    return naive ? softmaxAttention(input.q, k, v, options) : attend(input.q, k, v, options);
}

Variable PooledLinformer::forwardImpl(const AttentionInput& input) const {
    return run(input, false);
}

Variable PooledLinformer::naiveImpl(const AttentionInput& input) const {
    return run(input, true);
}

}  // namespace linscope
