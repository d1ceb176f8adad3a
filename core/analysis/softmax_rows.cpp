#include "core/analysis/softmax_rows.h"

#include <cmath>
#include <cstdlib>
#include <limits>

#include "core/base/error.h"

namespace linscope {

HeadView headView(const Snapshot& snapshot, int layer, int head, int sample) {
    const auto inRange = [](std::int64_t value, std::int64_t count, const char* what) {
        require(value >= 0 && value < count, "map", "{} below {}, but got {}", what, count, value);
    };
    inRange(layer, static_cast<std::int64_t>(snapshot.layers.size()), "layer");
    inRange(head, snapshot.heads, "head");
    inRange(sample, snapshot.samples, "sample");
    const auto size = static_cast<std::size_t>(snapshot.length * snapshot.headWidth);
    const std::size_t offset = static_cast<std::size_t>(sample * snapshot.heads + head) * size;
    const LayerSnapshot& values = snapshot.layers[static_cast<std::size_t>(layer)];
    const auto part = [&](const std::vector<float>& all) {
        require(all.size() >= offset + size, "map", "{} values of a snapshot, but it holds {}", offset + size,
                all.size());
        return std::span(all).subspan(offset, size);
    };
    return {snapshot.length,
            snapshot.headWidth,
            part(values.q),
            part(values.k),
            part(values.v),
            snapshot.projection("E", layer, head),
            snapshot.projection("F", layer, head)};
}

float ScoreTerms::ofDistance(std::int64_t distance) const {
    float extra = -slope * static_cast<float>(std::abs(distance));
    if (!bias.empty()) extra += bias[static_cast<std::size_t>(relativeBucket(distance, causal))];
    return extra;
}

ExactScores exactScores(const Snapshot& snapshot, int layer, int head, int sample) {
    ExactScores scores{.head = headView(snapshot, layer, head, sample)};
    scores.terms.causal = snapshot.causal;
    if (findMechanism(snapshot.mechanism).traits.sharedKeys) {
        scores.terms.others = true;
        scores.sharedKeys.assign(scores.head.q.begin(), scores.head.q.end());
        MatrixMap keys(scores.sharedKeys.data(), scores.head.length, scores.head.headWidth);
        keys.rowwise().normalize();
    }
    if (snapshot.position == Position::Alibi)
        scores.terms.slope = static_cast<float>(alibiSlopes(snapshot.heads)[static_cast<std::size_t>(head)]);
    const auto bias = [&](const std::vector<float>& table) {
        const auto size = static_cast<std::size_t>(kRelativeBuckets), at = static_cast<std::size_t>(head) * size;
        require(table.size() >= at + size, "map", "a table of biases of {} numbers, but it has {}", at + size,
                table.size());
        scores.terms.bias = std::span(table).subspan(at, size);
    };
    // A projection where it is the mechanism's only parameter.
    if (const Projection* table = snapshot.projection("relative_bias", layer, head))
        bias(table->values);
    else if (const ParameterValues* other = snapshot.parameter("attention.relative_bias"))
        bias(other->values);
    return scores;
}

Matrix softmaxRows(const HeadView& head, std::span<const float> keys, std::int64_t count, std::int64_t rowBegin,
                   std::int64_t rowEnd, const ScoreTerms& terms) {
    Matrix map{rowEnd - rowBegin, count, {}};
    map.values.resize(static_cast<std::size_t>(map.rows * map.cols));
    MatrixMap p(map.values.data(), map.rows, map.cols);
    const ConstMatrixMap q(head.q.data() + rowBegin * head.headWidth, map.rows, head.headWidth);
    p.noalias() = q * ConstMatrixMap(keys.data(), count, head.headWidth).transpose();
    const float scale = 1.0f / std::sqrt(static_cast<float>(head.headWidth));
    for (std::int64_t i = 0; i < map.rows; ++i) {
        const std::int64_t query = rowBegin + i;
        for (std::int64_t j = 0; j < count && terms.any(); ++j) p(i, j) += terms.ofDistance(j - query) / scale;
        const std::int64_t seen = terms.causal ? query + 1 : count;
        auto row = p.row(i).array().head(seen);
        const bool withoutOwn = terms.others && seen > 1;
        if (withoutOwn) row[query] = -std::numeric_limits<float>::infinity();
        row = ((row - row.maxCoeff()) * scale).exp();
        if (withoutOwn) row[query] = 0;  // Eigen's exponential of −∞ is not quite
        row /= row.sum();
        p.row(i).tail(count - seen).setZero();
    }
    return map;
}

}  // namespace linscope
