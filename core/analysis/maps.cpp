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
        : m_info(findMechanism(snapshot.mechanism)), m_exact(exactScores(snapshot, layer, head, sample)) {
        if (lifted && m_info.liftedMap == nullptr) m_implied = impliedMap(snapshot, layer, head, sample);
    }

    const HeadView& head() const { return m_exact.head; }

    Matrix exact(std::int64_t begin, std::int64_t end) const {
        return softmaxRows(head(), m_exact.keys(), head().length, begin, end, m_exact.terms);
    }
    Matrix lifted(std::int64_t begin, std::int64_t end) const {
        if (m_info.liftedMap != nullptr) return m_info.liftedMap(head(), begin, end);
        const auto first = m_implied.values.begin();
        return {end - begin, m_implied.cols, {first + begin * m_implied.cols, first + end * m_implied.cols}};
    }
    Matrix rows(MapKind kind, std::int64_t begin, std::int64_t end) const {
        switch (kind) {
            case MapKind::Exact:
                return exact(begin, end);
            case MapKind::Compressed:
                return m_info.compressedMap(head(), begin, end);
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
    ExactScores m_exact;
    Matrix m_implied;
};

/// Tokens, or slots, per cell.
std::int64_t cellBlock(std::int64_t count, std::int64_t maxSide) {
    return (count + maxSide - 1) / maxSide;
}

void goOnUnless(const std::stop_token& stop) {
    require(!stop.stop_requested(), "map", "to be wanted, but it was given up");
}

/// A term of the divergence of one distribution from another, in bits.
double divergence(double p, double from) {
    return p > 0 ? p * std::log2(p / from) : 0;
}

// What wins in a block of cells: the greatest, or the one farthest from 0; a NaN stays visible.
float pooled(float a, float b, bool isSigned) {
    if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<float>::quiet_NaN();
    return isSigned ? (std::abs(b) > std::abs(a) ? b : a) : std::max(a, b);
}

}  // namespace

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

MapKind ownMap(const Snapshot& snapshot) {
    return findMechanism(snapshot.mechanism).traits.exact ? MapKind::Exact : MapKind::Lifted;
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

void setSides(AttentionMap& map, std::int64_t rows, std::int64_t cols, std::int64_t maxSide) {
    map.rowBlock = cellBlock(rows, maxSide);
    map.colBlock = cellBlock(cols, maxSide);
    map.matrix.rows = (rows + map.rowBlock - 1) / map.rowBlock;
    map.matrix.cols = (cols + map.colBlock - 1) / map.colBlock;
    if (map.rowBlock > 1 || map.colBlock > 1) map.pooling = map.isSigned ? "abs-max" : "max";
}

AttentionMap attentionMap(const Snapshot& snapshot, const MapRequest& request, const std::stop_token& stop) {
    AttentionMap map = mapOutline(snapshot, request);
    const bool lifted = request.kind == MapKind::Lifted || request.kind == MapKind::Difference;
    const MapRows source(snapshot, request.layer, request.head, request.sample, lifted);
    const HeadView& head = source.head();
    const std::int64_t block = cellBlock(head.length, request.maxSide);
    const std::int64_t band = std::max(kBand / block, std::int64_t{1}) * block;
    for (std::int64_t row = 0; row < head.length; row += band) {
        goOnUnless(stop);
        const Matrix rows = source.rows(request.kind, row, std::min(row + band, head.length));
        if (row == 0) {
            setSides(map, head.length, rows.cols, request.maxSide);
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
    return map;
}

HeadFidelity headFidelity(const Snapshot& snapshot, int layer, int head, int sample, const std::stop_token& stop) {
    const std::string absence = mapAbsence(snapshot, MapKind::Lifted);
    require(absence.empty(), "fidelity", "a mechanism with a map to compare with the exact one, but: {}", absence);
    const MapRows source(snapshot, layer, head, sample, true);
    const HeadView& view = source.head();
    const std::int64_t n = view.length, d = view.headWidth;
    const bool isSigned = mapOutline(snapshot, {.kind = MapKind::Lifted}).isSigned;
    const ConstMatrixMap v(view.v.data(), n, d);
    // A map has rank K where all of it goes through K slots of the whole sequence. In a decoder none does: such slots
    // would tell of the future. There F makes slots of blocks, beside which the own block is seen exactly, even where
    // it is all that there is.
    const bool ranked = view.f != nullptr && view.f->length >= n && !snapshot.causal && n <= kLongestRanked;
    HeadFidelity result;
    TopKeyRecall recall(snapshot.causal);
    double exactNorm = 0, mapError = 0, outputNorm = 0, outputError = 0;
    Eigen::MatrixXd gram;  // PᵀP: its eigenvalues are the squares of P's singular values
    if (ranked) gram.setZero(n, n);
    for (std::int64_t row = 0; row < n; row += kBand) {
        goOnUnless(stop);
        const std::int64_t end = std::min(row + kBand, n);
        const Matrix exact = source.exact(row, end), lifted = source.lifted(row, end);
        const ConstMatrixMap p(exact.values.data(), exact.rows, n), l(lifted.values.data(), lifted.rows, n);
        exactNorm += p.cast<double>().squaredNorm();
        mapError += (p - l).cast<double>().squaredNorm();
        outputNorm += (p * v).cast<double>().squaredNorm();
        outputError += ((p - l) * v).cast<double>().squaredNorm();
        result.negativeMass += static_cast<double>((-l.array()).max(0.0f).sum());
        result.rowSumError += static_cast<double>((l.rowwise().sum().array() - 1.0f).abs().sum());
        if (ranked) gram.noalias() += p.cast<double>().transpose() * p.cast<double>();
        for (std::size_t i = 0; i < exact.values.size() && !isSigned; ++i) {
            const double a = static_cast<double>(exact.values[i]), b = static_cast<double>(lifted.values[i]);
            result.klDivergence += divergence(a, b);
            result.jsDivergence += (divergence(a, (a + b) / 2) + divergence(b, (a + b) / 2)) / 2;
        }
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
    // As probabilities within what single precision leaves of their sum.
    const bool probabilities = !isSigned && result.negativeMass == 0 && result.rowSumError < 1e-4;
    for (double* mean : {&result.klDivergence, &result.jsDivergence})
        *mean = probabilities ? *mean / static_cast<double>(n) : std::numeric_limits<double>::quiet_NaN();
    if (!ranked) {
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
