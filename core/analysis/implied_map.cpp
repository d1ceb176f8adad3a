#include "core/analysis/implied_map.h"

#include <algorithm>

#include "core/autograd/tape.h"
#include "core/base/error.h"

namespace linscope {

Tensor headsOf(Arena& arena, const Snapshot& s, const std::vector<float>& values, int sample) {
    const Tensor x = arena.tensor({1, s.length, s.heads, s.headWidth});
    for (std::int64_t h = 0; h < s.heads; ++h)
        for (std::int64_t t = 0; t < s.length; ++t)
            std::copy_n(values.data() + ((sample * s.heads + h) * s.length + t) * s.headWidth, s.headWidth,
                        x.as<float>() + (t * s.heads + h) * s.headWidth);
    return x;
}

AttentionSizes sizesOf(const Snapshot& s) {
    return {.layers = static_cast<std::int64_t>(s.layers.size()),
            .heads = s.heads,
            .headWidth = s.headWidth,
            .length = s.length,
            .causal = s.causal,
            .position = s.position};
}

std::string noTokenMap(const Snapshot& s) {
    const MechanismInfo& info = findMechanism(s.mechanism);
    return info.noTokenMap == nullptr ? std::string() : info.noTokenMap(s.options, sizesOf(s));
}

SnapshotMechanism::SnapshotMechanism(const Snapshot& s) {
    require(s.length <= kLongestImplied, "map", "at most {} tokens for the map that {} implies, but got {}",
            kLongestImplied, s.mechanism, s.length);
    const std::string reason = noTokenMap(s);
    require(reason.empty(), "map", "a mechanism with a token map, but {} has none: {}", s.mechanism, reason);
    m_mechanism = findMechanism(s.mechanism).create(s.options, sizesOf(s), m_parameters);
    m_mechanism->setProjections(s.projections);
    m_mechanism->setParameterValues(m_parameters, s.parameters);
}

Matrix impliedMap(const Snapshot& s, int layer, int head, int sample) {
    const SnapshotMechanism mechanism(s);
    Matrix map{s.length, s.length, std::vector<float>(static_cast<std::size_t>(s.length * s.length))};
    const LayerSnapshot& heads = s.layers[static_cast<std::size_t>(layer)];
    Arena kept, arena;
    const Tensor q = headsOf(kept, s, heads.q, sample), k = headsOf(kept, s, heads.k, sample);
    const Tensor v = kept.zeros(q.shape());
    const std::int64_t row = s.heads * s.headWidth;
    for (std::int64_t column = 0; column < s.length; column += s.headWidth) {
        const std::int64_t columns = std::min(s.headWidth, s.length - column);
        const auto setValues = [&](float value) {
            for (std::int64_t j = 0; j < columns; ++j)
                v.as<float>()[(column + j) * row + head * s.headWidth + j] = value;
        };
        setValues(1);
        arena.reset();
        Tape tape(arena, false);
        const Variable o =
            mechanism->forward({.layer = layer, .q = tape.constant(q), .k = tape.constant(k), .v = tape.constant(v)});
        for (std::int64_t t = 0; t < s.length; ++t)
            std::copy_n(o.value().as<float>() + t * row + head * s.headWidth, columns,
                        map.values.data() + t * s.length + column);
        setValues(0);
    }
    return map;
}

}  // namespace linscope
