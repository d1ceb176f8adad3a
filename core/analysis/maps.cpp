#include "core/analysis/maps.h"

#include <fmt/format.h>

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/analysis/implied_map.h"
#include "core/analysis/recall.h"
#include "core/analysis/softmax_rows.h"
#include "core/attention/mechanism.h"
#include "core/base/error.h"

namespace linscope {
namespace {

// Rows computed at a time: a band of a 65 536-token map is 16 MB.
constexpr std::int64_t kBand = 64;

/// Rows of the maps of one head.
class MapRows {
public:
    /// With `lifted`, ready for the lifted and the difference map.
    MapRows(const Snapshot& snapshot, int layer, int head, int sample, bool lifted)
        : m_info(findMechanism(snapshot.mechanism)), m_head(headView(snapshot, layer, head, sample)) {
        m_exact.causal = snapshot.causal;
        if (m_info.traits.sharedKeys) {
            m_exact.others = true;
            m_sharedKeys.assign(m_head.q.begin(), m_head.q.end());
            MatrixMap keys(m_sharedKeys.data(), m_head.length, m_head.headWidth);
            keys.rowwise().normalize();
        }
        if (snapshot.position == Position::Alibi)
            m_exact.slope = static_cast<float>(alibiSlopes(snapshot.heads)[static_cast<std::size_t>(head)]);
        const auto bias = [&](const std::vector<float>& table) {
            const auto size = static_cast<std::size_t>(kRelativeBuckets), at = static_cast<std::size_t>(head) * size;
            require(table.size() >= at + size, "map", "a table of biases of {} numbers, but it has {}", at + size,
                    table.size());
            m_exact.bias = std::span(table).subspan(at, size);
        };
        // A projection where it is the mechanism's only parameter.
        if (const Projection* table = snapshot.projection("relative_bias", layer, head))
            bias(table->values);
        else if (const ParameterValues* other = snapshot.parameter("attention.relative_bias"))
            bias(other->values);
        if (lifted && m_info.liftedMap == nullptr) m_implied = impliedMap(snapshot, layer, head, sample);
    }

    const HeadView& head() const { return m_head; }

    Matrix exact(std::int64_t begin, std::int64_t end) const {
        const std::span<const float> keys = m_info.traits.sharedKeys ? m_sharedKeys : m_head.k;
        return softmaxRows(m_head, keys, m_head.length, begin, end, m_exact);
    }
    Matrix lifted(std::int64_t begin, std::int64_t end) const {
        if (m_info.liftedMap != nullptr) return m_info.liftedMap(m_head, begin, end);
        const auto first = m_implied.values.begin();
        return {end - begin, m_implied.cols, {first + begin * m_implied.cols, first + end * m_implied.cols}};
    }
    Matrix rows(MapKind kind, std::int64_t begin, std::int64_t end) const {
        switch (kind) {
            case MapKind::Exact:
                return exact(begin, end);
            case MapKind::Compressed:
                return m_info.compressedMap(m_head, begin, end);
            case MapKind::Lifted:
                return lifted(begin, end);
            case MapKind::Difference: {
                Matrix difference = lifted(begin, end);
                const Matrix p = exact(begin, end);
                for (std::size_t i = 0; i < difference.values.size(); ++i) difference.values[i] -= p.values[i];
                return difference;
            }
        }
        return {};
    }

private:
    const MechanismInfo& m_info;
    HeadView m_head;
    ScoreTerms m_exact;
    std::vector<float> m_sharedKeys;  // [T,D]
    Matrix m_implied;
};

// What wins in a block of cells: the greatest, or the one farthest from 0; a NaN stays visible.
float pooled(float a, float b, bool isSigned) {
    if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<float>::quiet_NaN();
    return isSigned ? (std::abs(b) > std::abs(a) ? b : a) : std::max(a, b);
}

}  // namespace

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

std::string_view mapName(MapKind kind) {
    switch (kind) {
        case MapKind::Exact:
            return "exact";
        case MapKind::Compressed:
            return "compressed";
        case MapKind::Lifted:
            return "lifted";
        case MapKind::Difference:
            return "difference";
    }
    return "";
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
        for (std::int64_t j = 0; j < count && terms.any(); ++j) {
            const std::int64_t distance = j - query;
            float extra = -terms.slope * static_cast<float>(std::abs(distance));
            if (!terms.bias.empty())
                extra += terms.bias[static_cast<std::size_t>(relativeBucket(distance, terms.causal))];
            p(i, j) += extra / scale;
        }
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

bool hasMap(const Snapshot& snapshot, MapKind kind) {
    return mapAbsence(snapshot, kind).empty();
}

std::string mapAbsence(const Snapshot& snapshot, MapKind kind) {
    const MechanismInfo& info = findMechanism(snapshot.mechanism);
    if (kind == MapKind::Exact) return {};
    const bool own = kind == MapKind::Compressed;
    if (info.traits.exact || (own && info.compressedMap == nullptr))
        return fmt::format("The mechanism \"{}\" has no {} map.", info.name, mapName(kind));
    if (own) return {};
    const std::string reason = noTokenMap(snapshot);
    if (reason.empty()) return {};
    return fmt::format("The mechanism \"{}\" has no token map: {}.", info.name, reason);
}

AttentionMap mapOutline(const Snapshot& snapshot, const MapRequest& request) {
    const MechanismInfo& info = findMechanism(snapshot.mechanism);
    const std::string absence = mapAbsence(snapshot, request.kind);
    require(absence.empty(), "map", "a mechanism with a {} map, but: {} Choose another map or another lane",
            mapName(request.kind), absence);
    require(request.maxSide >= 1, "map", "maxSide of at least 1, but got {}", request.maxSide);
    AttentionMap map;
    const bool signedByOptions = info.signedMap != nullptr && info.signedMap(snapshot.options);
    map.isSigned = request.kind == MapKind::Difference ||
                   (request.kind == MapKind::Lifted && (info.traits.signedMap || signedByOptions));
    map.rowAxis = "query token";
    const bool tokens = request.kind != MapKind::Compressed || info.traits.mapAxis == MapAxis::Tokens;
    map.colAxis = tokens                                  ? "key token"
                  : info.traits.mapAxis == MapAxis::Slots ? "slot"
                                                          : std::string(mapAxisName(info.traits.mapAxis));
    map.pooling = "none";
    return map;
}

AttentionMap attentionMap(const Snapshot& snapshot, const MapRequest& request) {
    AttentionMap map = mapOutline(snapshot, request);
    const bool lifted = request.kind == MapKind::Lifted || request.kind == MapKind::Difference;
    const MapRows source(snapshot, request.layer, request.head, request.sample, lifted);
    const HeadView& head = source.head();
    map.rowBlock = (head.length + request.maxSide - 1) / request.maxSide;
    const std::int64_t band = std::max(kBand / map.rowBlock, std::int64_t{1}) * map.rowBlock;
    for (std::int64_t row = 0; row < head.length; row += band) {
        const Matrix rows = source.rows(request.kind, row, std::min(row + band, head.length));
        if (row == 0) {
            map.colBlock = (rows.cols + request.maxSide - 1) / request.maxSide;
            map.matrix.rows = (head.length + map.rowBlock - 1) / map.rowBlock;
            map.matrix.cols = (rows.cols + map.colBlock - 1) / map.colBlock;
            map.matrix.values.resize(static_cast<std::size_t>(map.matrix.rows * map.matrix.cols));
        }
        for (std::int64_t i = 0; i < rows.rows; ++i) {
            float* out = &map.matrix.values[static_cast<std::size_t>((row + i) / map.rowBlock * map.matrix.cols)];
            const bool firstRow = (row + i) % map.rowBlock == 0;
            for (std::int64_t j = 0; j < rows.cols; ++j) {
                float& cell = out[j / map.colBlock];
                const bool fresh = firstRow && j % map.colBlock == 0;
                cell = fresh ? rows.at(i, j) : pooled(cell, rows.at(i, j), map.isSigned);
            }
        }
    }
    if (map.rowBlock > 1 || map.colBlock > 1) map.pooling = map.isSigned ? "abs-max" : "max";
    return map;
}

HeadFidelity headFidelity(const Snapshot& snapshot, int layer, int head, int sample) {
    const std::string absence = mapAbsence(snapshot, MapKind::Lifted);
    require(absence.empty(), "fidelity", "a mechanism with a map to compare with the exact one, but: {}", absence);
    const MapRows source(snapshot, layer, head, sample, true);
    const HeadView& view = source.head();
    const std::int64_t n = view.length, d = view.headWidth;
    const ConstMatrixMap v(view.v.data(), n, d);
    HeadFidelity result;
    TopKeyRecall recall(snapshot.causal);
    double exactNorm = 0, mapError = 0, outputNorm = 0, outputError = 0;
    Eigen::MatrixXd gram = Eigen::MatrixXd::Zero(n, n);  // PᵀP: its eigenvalues are the squares of P's singular values
    for (std::int64_t row = 0; row < n; row += kBand) {
        const std::int64_t end = std::min(row + kBand, n);
        const Matrix exact = source.exact(row, end), lifted = source.lifted(row, end);
        const ConstMatrixMap p(exact.values.data(), exact.rows, n), l(lifted.values.data(), lifted.rows, n);
        exactNorm += p.cast<double>().squaredNorm();
        mapError += (p - l).cast<double>().squaredNorm();
        outputNorm += (p * v).cast<double>().squaredNorm();
        outputError += ((p - l) * v).cast<double>().squaredNorm();
        result.negativeMass += static_cast<double>((-l.array()).max(0.0f).sum());
        result.rowSumError += static_cast<double>((l.rowwise().sum().array() - 1.0f).abs().sum());
        gram.noalias() += p.cast<double>().transpose() * p.cast<double>();
        for (std::int64_t i = 0; i < exact.rows; ++i) {
            const auto rowOf = [&](const Matrix& rows) {
                return std::span(rows.values).subspan(static_cast<std::size_t>(i * n), static_cast<std::size_t>(n));
            };
            recall.add(row + i, rowOf(exact), rowOf(lifted));
        }
    }
    result.topKeyRecall = recall.value();
    result.outputError = std::sqrt(outputError / outputNorm);
    result.mapError = std::sqrt(mapError / exactNorm);
    result.negativeMass /= static_cast<double>(n);
    result.rowSumError /= static_cast<double>(n);
    if (view.f == nullptr || view.f->length < n) {  // no slots of the whole sequence, and so no rank to compare with
        result.rankBound = std::numeric_limits<double>::quiet_NaN();
        return result;
    }
    const Eigen::VectorXd squares =
        Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(gram, Eigen::EigenvaluesOnly).eigenvalues();  // ascending
    double tail = 0;
    for (std::int64_t i = 0; i < n - view.f->slots; ++i) tail += std::max(0.0, squares[i]);
    result.rankBound = std::sqrt(tail / exactNorm);
    return result;
}

}  // namespace linscope
