#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstdint>
#include <limits>

#include <algorithm>

#include "core/attention/position.h"
#include "core/ops/gemm.h"

namespace linscope::blocks {

// A block of scores, kQueries×kKeys in single precision, stays in the second-level cache.
inline constexpr std::int64_t kQueries = 128;
inline constexpr std::int64_t kKeys = 256;

template <typename T>
using Row = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
template <typename T>
using ConstRow = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;

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

    bool banded() const { return causal || window > 0; }
    bool sees(std::int64_t query, std::int64_t key) const {
        return !(causal && key > query) && !(window > 0 && std::abs(query - key) >= window);
    }
    /// Keys [first, second) that the queries [row, row + rows) may see, in whole blocks.
    std::pair<std::int64_t, std::int64_t> keyRange(std::int64_t row, std::int64_t rows) const {
        std::int64_t first = 0, last = keys;
        if (window > 0) first = std::clamp<std::int64_t>(row - window + 1, 0, keys) / kKeys * kKeys;
        if (causal) last = std::min(last, row + rows);
        if (window > 0) last = std::min(last, row + rows - 1 + window);
        return {first, last};
    }
};

/// Sets the columns of padded keys.
template <typename T>
void fillPadded(const Head<T>& head, std::int64_t column, std::int64_t rows, std::int64_t columns, T value, T* s) {
    if (head.keep == nullptr) return;
    for (std::int64_t j = 0; j < columns; ++j)
        if (head.keep[column + j] == 0.0f)
            for (std::int64_t i = 0; i < rows; ++i) s[i * columns + j] = value;
}

/// Sets the cells of keys that a query does not see.
template <typename T>
void fillUnseen(const Head<T>& head, std::int64_t row, std::int64_t column, std::int64_t rows, std::int64_t columns,
                T value, T* s) {
    fillPadded(head, column, rows, columns, value, s);
    if (!head.banded()) return;
    for (std::int64_t i = 0; i < rows; ++i) {
        const std::int64_t query = row + i;
        T* line = s + i * columns;
        if (head.window > 0)
            for (std::int64_t j = 0; j < std::min(columns, query - head.window + 1 - column); ++j) line[j] = value;
        const std::int64_t end = head.causal ? query + 1 : query + head.window;
        for (std::int64_t j = std::max<std::int64_t>(0, end - column); j < columns; ++j) line[j] = value;
    }
}

/// Adds what depends on the distance, divided by the scale that is still to come.
template <typename T>
void addDistances(const Head<T>& head, std::int64_t row, std::int64_t column, std::int64_t rows, std::int64_t columns,
                  T* s) {
    if (head.slope == T(0) && head.bias == nullptr) return;
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < columns; ++j) {
            const std::int64_t distance = column + j - row - i;
            T extra = -head.slope * static_cast<T>(std::abs(distance));
            if (head.bias != nullptr) extra += head.bias[relativeBucket(distance, head.causal)];
            s[i * columns + j] += extra / head.scale;
        }
}

/// s [rows, columns] = scores of the queries from `row` on with the keys from `column` on, not scaled;
/// −∞ where a query does not see the key.
template <typename T>
void scores(const Head<T>& head, std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns, T* s) {
    multiply({.m = rows,
              .n = columns,
              .k = head.width,
              .transposeB = true,
              .lda = head.stride,
              .ldb = head.stride,
              .ldc = columns},
             head.q + row * head.stride, head.k + column * head.stride, s);
    addDistances(head, row, column, rows, columns, s);
    fillUnseen(head, row, column, rows, columns, -std::numeric_limits<T>::infinity(), s);
}

/// Writes o and lse, the logarithm of each row's sum of exponentials (−∞ for a query without keys).
/// `s` [kQueries, kKeys], `greatest` and `sum` [kQueries] are scratch.
template <typename T>
void forward(const Head<T>& head, T* o, T* lse, T* s, T* greatest, T* sum) {
    constexpr T kNone = -std::numeric_limits<T>::infinity();
    for (std::int64_t row = 0; row < head.queries; row += kQueries) {
        const std::int64_t rows = std::min(kQueries, head.queries - row);
        std::fill(greatest, greatest + rows, kNone);
        std::fill(sum, sum + rows, T(0));
        T* out = o + row * head.stride;
        const auto [begin, end] = head.keyRange(row, rows);
        if (begin >= end)  // all keys lie behind the window
            for (std::int64_t i = 0; i < rows; ++i) std::fill_n(out + i * head.stride, head.width, T(0));
        for (std::int64_t column = begin; column < end; column += kKeys) {
            const std::int64_t columns = std::min(kKeys, end - column);
            scores(head, row, rows, column, columns, s);
            for (std::int64_t i = 0; i < rows; ++i) {
                Row<T> p(s + i * columns, columns);
                const T top = std::max(greatest[i], p.maxCoeff() * head.scale);
                if (top == kNone) {  // only padded keys so far
                    p.setZero();
                    continue;
                }
                const T shrink = std::exp(greatest[i] - top);
                p = (p * head.scale - top).exp();
                sum[i] = sum[i] * shrink + p.sum();
                greatest[i] = top;
                if (column > begin && shrink != T(1)) Row<T>(out + i * head.stride, head.width) *= shrink;
            }
            fillUnseen(head, row, column, rows, columns, T(0), s);  // Eigen's exp(−∞) is tiny, not 0
            multiply({.m = rows,
                      .n = head.width,
                      .k = columns,
                      .lda = columns,
                      .ldb = head.stride,
                      .ldc = head.stride,
                      .beta = column > begin ? 1.0 : 0.0},
                     s, head.v + column * head.stride, out);
        }
        for (std::int64_t i = 0; i < rows; ++i) {
            Row<T>(out + i * head.stride, head.width) *= sum[i] > T(0) ? T(1) / sum[i] : T(0);
            lse[row + i] = sum[i] > T(0) ? greatest[i] + std::log(sum[i]) : kNone;
        }
    }
}

template <typename T>
struct HeadGradients {
    T *dq, *dk, *dv;  // as q, k, v of Head
    bool addQ, addK, addV;
};

/// From o, lse and dL/do the gradients of q, k and v: with P = exp(s·scale − lse), dV = Pᵀ·dO,
/// dS = P ∘ (dO·Vᵀ − rowsum(dO ∘ O)), dQ = scale·dS·K, dK = scale·dSᵀ·Q (Dao et al. 2022, Algorithm 4).
/// `s` and `ds` [kQueries, kKeys], `delta` [kQueries] are scratch.
template <typename T>
void backward(const Head<T>& head, const T* o, const T* lse, const T* dO, const HeadGradients<T>& out, T* s, T* ds,
              T* delta) {
    constexpr T kNone = -std::numeric_limits<T>::infinity();
    const std::int64_t stride = head.stride;
    // In a band the first block of queries does not come past every key.
    const bool addK = out.addK || head.banded(), addV = out.addV || head.banded();
    for (const auto& [gradient, add] : {std::pair{out.dk, out.addK}, std::pair{out.dv, out.addV}})
        if (head.banded() && !add)
            for (std::int64_t j = 0; j < head.keys; ++j) std::fill_n(gradient + j * stride, head.width, T(0));
    for (std::int64_t row = 0; row < head.queries; row += kQueries) {
        const std::int64_t rows = std::min(kQueries, head.queries - row);
        for (std::int64_t i = 0; i < rows; ++i)
            delta[i] =
                (ConstRow<T>(o + (row + i) * stride, head.width) * ConstRow<T>(dO + (row + i) * stride, head.width))
                    .sum();
        const auto [begin, end] = head.keyRange(row, rows);
        if (begin >= end && !out.addQ)
            for (std::int64_t i = row; i < row + rows; ++i) std::fill_n(out.dq + i * stride, head.width, T(0));
        for (std::int64_t column = begin; column < end; column += kKeys) {
            const std::int64_t columns = std::min(kKeys, end - column);
            scores(head, row, rows, column, columns, s);
            multiply({.m = rows,
                      .n = columns,
                      .k = head.width,
                      .transposeB = true,
                      .lda = stride,
                      .ldb = stride,
                      .ldc = columns},
                     dO + row * stride, head.v + column * stride, ds);
            for (std::int64_t i = 0; i < rows; ++i) {
                Row<T> p(s + i * columns, columns), d(ds + i * columns, columns);
                if (lse[row + i] == kNone)
                    p.setZero();
                else
                    p = (p * head.scale - lse[row + i]).exp();
                if (head.keys == 1)
                    d.setZero();  // its weight is 1 whatever the score; the difference would be rounding alone
                else
                    d = p * (d - delta[i]);
            }
            fillUnseen(head, row, column, rows, columns, T(0), s);
            fillUnseen(head, row, column, rows, columns, T(0), ds);
            if (head.biasGradient != nullptr)
                for (std::int64_t i = 0; i < rows; ++i)
                    for (std::int64_t j = 0; j < columns; ++j)
                        head.biasGradient[relativeBucket(column + j - row - i, head.causal)] += ds[i * columns + j];
            const double scale = static_cast<double>(head.scale);
            multiply({.m = columns,
                      .n = head.width,
                      .k = rows,
                      .transposeA = true,
                      .lda = columns,
                      .ldb = stride,
                      .ldc = stride,
                      .beta = addV || row > 0 ? 1.0 : 0.0},
                     s, dO + row * stride, out.dv + column * stride);
            multiply({.m = columns,
                      .n = head.width,
                      .k = rows,
                      .transposeA = true,
                      .lda = columns,
                      .ldb = stride,
                      .ldc = stride,
                      .alpha = scale,
                      .beta = addK || row > 0 ? 1.0 : 0.0},
                     ds, head.q + row * stride, out.dk + column * stride);
            multiply({.m = rows,
                      .n = head.width,
                      .k = columns,
                      .lda = columns,
                      .ldb = stride,
                      .ldc = stride,
                      .alpha = scale,
                      .beta = column > begin || out.addQ ? 1.0 : 0.0},
                     ds, head.k + column * stride, out.dq + row * stride);
        }
    }
}

}  // namespace linscope::blocks
