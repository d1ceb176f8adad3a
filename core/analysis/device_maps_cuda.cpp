#include "core/analysis/device_maps.h"

#include <algorithm>

#include "core/analysis/implied_map.h"
#include "core/analysis/map_panels.h"
#include "core/analysis/map_tile.h"
#include "core/analysis/softmax_rows.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/cuda/blas.h"
#include "core/cuda/context.h"
#include "core/nn/device_parameters.h"
#include "core/tensor/arena.h"

namespace linscope::cuda {
namespace {

/// One map on its way to where it is wanted. What lies between is on loan from the arena.
class MapInProgress {
public:
    MapInProgress(Arena& arena, const Snapshot& snapshot, const MapRequest& request, float* map, std::int64_t numbers)
        : m_arena(arena),
          m_context(*arena.context()),
          m_snapshot(snapshot),
          m_request(request),
          m_outline(deviceMapOutline(snapshot, request)),
          m_scores(exactScores(snapshot, request.layer, request.head, request.sample)),
          m_map(map),
          m_numbers(numbers),
          m_length(snapshot.length),
          m_width(snapshot.headWidth) {
        m_q = put(m_scores.head.q);
        m_keys = put(m_scores.keys());
        std::vector<float> extras;
        for (std::int64_t distance = 1 - m_length; distance < m_length && m_scores.terms.any(); ++distance)
            extras.push_back(m_scores.terms.ofDistance(distance));
        if (!extras.empty()) m_ofDistance = put(extras) + (m_length - 1);
        m_context.wait();  // until the processor's copies have been read
    }

    /// The exact map, and what comes of projections: rows are independent of one another.
    void byRows() {
        if (m_request.kind != MapKind::Exact) compress();
        const std::int64_t cols = m_request.kind == MapKind::Compressed ? m_scores.head.e->slots : m_length;
        const std::int64_t band = pooled() ? bandOf(cols) : m_length;
        for (std::int64_t row = 0; row < m_length; row += band) {
            const Arena::Scratch scratch(m_arena);
            const std::int64_t rows = std::min(band, m_length - row);
            float* out = pooled() ? memory(rows * cols) : m_map;
            bandOfRows(row, rows, out);
            pool({.values = out, .rows = rows, .cols = cols, .firstRow = row});
        }
    }

    /// The map that the mechanism implies: columns are.
    void byColumns() {
        SnapshotMechanism mechanism(m_snapshot);
        const DeviceParameters parameters(m_context, mechanism.parameters());
        const std::int64_t H = m_snapshot.heads;
        const std::int64_t groups =
            std::clamp(m_numbers / (m_length * H * m_width), std::int64_t{1}, (m_length + m_width - 1) / m_width);
        const Shape shape{groups, m_length, H, m_width};
        const LayerSnapshot& heads = m_snapshot.layers[static_cast<std::size_t>(m_request.layer)];
        const Tensor q = sameForAll(heads.q, shape), k = sameForAll(heads.k, shape);
        const bool difference = m_request.kind == MapKind::Difference;
        const float* sums = nullptr;
        if (difference && pooled()) sums = sumsOfRows();
        if (difference && !pooled()) mapTile(m_context, exactTile(0, m_length), m_map);
        for (std::int64_t column = 0; column < m_length; column += groups * m_width) {
            const Arena::Scratch scratch(m_arena);
            const MapPanel panel{
                .first = column, .columns = std::min(groups * m_width, m_length - column), .head = m_request.head};
            const Tensor v = m_arena.zeros(shape);
            setUnitValues(m_context, panel, v);
            Tape tape(m_arena, false);
            const Variable o = mechanism->forward(
                {.layer = m_request.layer, .q = tape.constant(q), .k = tape.constant(k), .v = tape.constant(v)});
            float* out = pooled() ? memory(m_length * panel.columns) : m_map + column;
            if (difference && pooled()) {
                MapTile tile = exactTile(0, m_length);
                tile.keys = rowsOf(m_keys, column, panel.columns);
                tile.count = panel.columns;
                tile.firstKey = column;
                tile.sums = sums;
                mapTile(m_context, tile, out);
            }
            takeColumns(m_context, panel, o.value(), difference, out, pooled() ? panel.columns : m_length);
            pool({.values = out, .rows = m_length, .cols = panel.columns, .firstCol = column});
        }
        m_context.wait();  // the parameters' memory goes
    }

private:
    bool pooled() const { return m_outline.rowBlock > 1 || m_outline.colBlock > 1; }
    std::int64_t bandOf(std::int64_t cols) const { return std::clamp(m_numbers / cols, std::int64_t{1}, m_length); }
    float* memory(std::int64_t count) { return m_arena.tensor({count}).onDeviceAs<float>(); }
    float* put(std::span<const float> values) {
        float* there = memory(static_cast<std::int64_t>(values.size()));
        m_context.toDevice(there, values.data(), values.size_bytes());
        return there;
    }

    /// Rows of q or of the keys, from where a product may read them.
    const float* rowsOf(const float* matrix, std::int64_t first, std::int64_t rows) {
        if (first == 0) return matrix;
        float* aligned = memory(rows * m_width);
        m_context.copy(aligned, matrix + first * m_width, static_cast<std::size_t>(rows * m_width) * sizeof(float));
        return aligned;
    }

    /// Rows of P.
    MapTile exactTile(std::int64_t row, std::int64_t rows) {
        return {.q = rowsOf(m_q, row, rows),
                .keys = m_keys,
                .rows = rows,
                .count = m_length,
                .headWidth = m_width,
                .firstQuery = row,
                .causal = m_scores.terms.causal,
                .others = m_scores.terms.others && m_length > 1,
                .ofDistance = m_ofDistance};
    }

    /// EK, and F beside it where it is needed.
    void compress() {
        const Projection& e = *m_scores.head.e;
        m_slots = memory(e.slots * m_width);
        const Products products{
            {.m = e.slots, .n = m_width, .k = m_length, .lda = e.length, .ldb = m_width, .ldc = m_width}};
        m_context.blas().multiply(products, put(e.values), m_keys, m_slots);
        if (m_request.kind != MapKind::Compressed) m_f = put(m_scores.head.f->values);
    }

    void bandOfRows(std::int64_t row, std::int64_t rows, float* out) {
        const MapKind kind = m_request.kind;
        if (kind == MapKind::Exact || kind == MapKind::Difference) mapTile(m_context, exactTile(row, rows), out);
        if (kind == MapKind::Exact) return;
        const std::int64_t K = m_scores.head.e->slots;
        float* weights = kind == MapKind::Compressed ? out : memory(rows * K);  // P̄
        mapTile(m_context,
                {.q = rowsOf(m_q, row, rows), .keys = m_slots, .rows = rows, .count = K, .headWidth = m_width},
                weights);
        if (kind == MapKind::Compressed) return;
        Products lift{{.m = rows, .n = m_length, .k = K, .lda = K, .ldb = m_scores.head.f->length, .ldc = m_length}};
        lift.beta = kind == MapKind::Difference ? -1 : 0;  // onto P, which lies there
        m_context.blas().multiply(lift, weights, m_f, out);
    }

    /// rowSums() of P [T,2].
    const float* sumsOfRows() {
        float* sums = memory(2 * m_length);
        for (std::int64_t row = 0, band = bandOf(m_length); row < m_length; row += band) {
            const Arena::Scratch scratch(m_arena);
            const std::int64_t rows = std::min(band, m_length - row);
            rowSums(m_context, exactTile(row, rows), memory(rows * m_length), sums + 2 * row);
        }
        return sums;
    }

    /// One sample's heads for each sequence of a batch.
    Tensor sameForAll(const std::vector<float>& values, const Shape& shape) {
        Arena here;
        const Tensor one = headsOf(here, m_snapshot, values, m_request.sample), all = m_arena.tensor(shape);
        for (std::int64_t b = 0; b < shape[0]; ++b)
            m_context.toDevice(all.onDeviceAs<float>() + b * one.elements(), one.raw(),
                               static_cast<std::size_t>(one.bytes()));
        m_context.wait();  // until they have been read
        return all;
    }

    void pool(PooledTile tile) {
        if (!pooled()) return;
        tile.rowBlock = m_outline.rowBlock;
        tile.colBlock = m_outline.colBlock;
        tile.mapCols = m_outline.matrix.cols;
        tile.isSigned = m_outline.isSigned;
        poolTile(m_context, tile, m_map);
    }

    Arena& m_arena;
    DeviceContext& m_context;
    const Snapshot& m_snapshot;
    const MapRequest& m_request;
    const AttentionMap m_outline;
    const ExactScores m_scores;
    float* m_map;
    const std::int64_t m_numbers, m_length, m_width;  // T, D
    const float *m_q = nullptr, *m_keys = nullptr, *m_ofDistance = nullptr;
    float* m_slots = nullptr;    // [K,D]
    const float* m_f = nullptr;  // [K, its length]
};

}  // namespace

void attentionMap(Arena& arena, const Snapshot& snapshot, const MapRequest& request, float* map, std::int64_t numbers) {
    const std::string absence = deviceMapAbsence(snapshot, request);
    require(absence.empty(), "map", "a map that the device computes, but {}", absence);
    const Arena::Scratch scratch(arena);
    MapInProgress work(arena, snapshot, request, map, numbers);
    const bool lifted = request.kind == MapKind::Lifted || request.kind == MapKind::Difference;
    if (lifted && findMechanism(snapshot.mechanism).liftedMap == nullptr)
        work.byColumns();
    else
        work.byRows();
}

}  // namespace linscope::cuda
