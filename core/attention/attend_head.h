#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "core/attention/lane_product.h"
#include "core/attention/position.h"
#include "core/base/precision.h"

namespace linscope::blocks {

// Two blocks of scores, kQueries×kKeys in single precision, stay in the second-level cache. A row of queries is an odd
// number of cache lines, so that a column of rows is spread over all of the first-level cache, but where panels are two
// lines wide: they must be whole.
inline constexpr std::int64_t kQueries = wholePanels<float>(176);
inline constexpr std::int64_t kKeys = 192;

/// One head of one sample: rows of q, k, v and o are `stride` apart.
template <typename T>
struct Head {
    const T *q, *k, *v;  // [T,D], [S,D], [S,D]
    const float* keep;   // [S] or null
    std::int64_t queries, keys, width, stride;
    T scale;  // 1/√D
    bool causal = false;
    std::int64_t window = 0;  // keys within it, 0: all
    T slope = 0;              // ALiBi
    const T* bias = nullptr;  // [kRelativeBuckets] or null
    T* biasGradient = nullptr;
    Precision precision = Precision::Single;  // of the products; sums of exponentials are not rounded

    std::int64_t past = 0;  // the place of query 0 among the keys

    bool banded() const { return causal || window > 0; }
    /// Keys [first, second) that the queries [row, row + rows) may see, in whole blocks.
    std::pair<std::int64_t, std::int64_t> keyRange(std::int64_t row, std::int64_t rows) const {
        std::int64_t first = 0, last = keys;
        row += past;
        if (window > 0) first = std::clamp<std::int64_t>(row - window + 1, 0, keys) / kKeys * kKeys;
        if (causal) last = std::min(last, row + rows);
        if (window > 0) last = std::min(last, row + rows - 1 + window);
        return {first, last};
    }
};

/// Some scores of a head, or what has their places: s [columns, lanes], a row a key from `column` on, in it the queries
/// at the places [row, row + rows).
struct Tile {
    std::int64_t row, rows, lanes, column, columns;
};

/// Sets the cells of keys that are padded or that a query does not see.
template <typename T>
void fillUnseen(const Head<T>& head, const Tile& t, T value, T* s) {
    for (std::int64_t j = 0; j < t.columns; ++j) {
        T* line = s + j * t.lanes;
        const std::int64_t key = t.column + j;
        if (head.keep != nullptr && head.keep[key] == 0.0f) {
            std::fill_n(line, t.lanes, value);
            continue;
        }
        if (!head.banded()) continue;
        // The queries that see the key, [first, last).
        const std::int64_t from = head.causal ? key : key - head.window + 1;
        const std::int64_t first = std::clamp<std::int64_t>(from - t.row, 0, t.rows);
        const std::int64_t to = head.window > 0 ? key + head.window - t.row : t.rows;
        const std::int64_t last = std::clamp<std::int64_t>(to, first, t.rows);
        std::fill_n(line, first, value);
        std::fill(line + last, line + t.rows, value);
    }
}

/// Adds what depends on the distance, divided by the scale that is still to come.
template <typename T>
void addDistances(const Head<T>& head, const Tile& t, T* s) {
    if (head.slope == T(0) && head.bias == nullptr) return;
    for (std::int64_t j = 0; j < t.columns; ++j)
        for (std::int64_t i = 0; i < t.rows; ++i) {
            const std::int64_t distance = t.column + j - t.row - i;
            T extra = -head.slope * static_cast<T>(std::abs(distance));
            if (head.bias != nullptr) extra += head.bias[relativeBucket(distance, head.causal)];
            s[j * t.lanes + i] += extra / head.scale;
        }
}

}  // namespace linscope::blocks
