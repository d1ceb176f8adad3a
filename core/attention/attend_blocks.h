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
    Precision precision = Precision::Single;  // of the products; sums of exponentials are not rounded

    /// multiply() with factors in the head's precision.
    void product(Product p, const T* a, const T* b, T* c) const {
        p.precision = precision;
        multiply(p, a, b, c);
    }
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
    head.product({.m = rows,
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

/// What a block of queries has come past so far: each query's greatest score and its sum of exponentials below it.
template <typename T>
struct Running {
    T *greatest, *sum;  // [rows] each
    bool fresh = true;  ///< nothing so far: o is not read
    void reset(std::int64_t rows) {
        std::fill(greatest, greatest + rows, -std::numeric_limits<T>::infinity());
        std::fill(sum, sum + rows, T(0));
        fresh = true;
    }
};

/// The queries [row, row + rows) come past the keys [column, column + columns): `out`, their rows of o, holds what the
/// weights below `running` give, not divided yet. `s` [rows, columns] is scratch.
template <typename T>
void absorb(const Head<T>& head, std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns, T* out,
            Running<T>& running, T* s) {
    constexpr T kNone = -std::numeric_limits<T>::infinity();
    scores(head, row, rows, column, columns, s);
    for (std::int64_t i = 0; i < rows; ++i) {
        Row<T> p(s + i * columns, columns);
        const T top = std::max(running.greatest[i], p.maxCoeff() * head.scale);
        if (top == kNone) {  // only padded keys so far
            p.setZero();
            continue;
        }
        const T shrink = std::exp(running.greatest[i] - top);
        p = (p * head.scale - top).exp();
        running.sum[i] = running.sum[i] * shrink + p.sum();
        running.greatest[i] = top;
        if (!running.fresh && shrink != T(1)) Row<T>(out + i * head.stride, head.width) *= shrink;
    }
    fillUnseen(head, row, column, rows, columns, T(0), s);  // Eigen's exp(−∞) is tiny, not 0
    head.product({.m = rows,
                  .n = head.width,
                  .k = columns,
                  .lda = columns,
                  .ldb = head.stride,
                  .ldc = head.stride,
                  .beta = running.fresh ? 0.0 : 1.0},
                 s, head.v + column * head.stride, out);
    running.fresh = false;
}

/// Divides by the sums, and writes each row's logarithm of its sum of exponentials (−∞ for a query without keys).
template <typename T>
void settle(const Head<T>& head, std::int64_t rows, const Running<T>& running, T* out, T* lse) {
    for (std::int64_t i = 0; i < rows; ++i) {
        const T sum = running.sum[i];
        if (running.fresh)
            std::fill_n(out + i * head.stride, head.width, T(0));
        else
            Row<T>(out + i * head.stride, head.width) *= sum > T(0) ? T(1) / sum : T(0);
        lse[i] = sum > T(0) ? running.greatest[i] + std::log(sum) : -std::numeric_limits<T>::infinity();
    }
}

/// Writes o and lse, the logarithm of each row's sum of exponentials (−∞ for a query without keys).
/// `s` [kQueries, kKeys], `greatest` and `sum` [kQueries] are scratch.
template <typename T>
void forward(const Head<T>& head, T* o, T* lse, T* s, T* greatest, T* sum) {
    Running<T> running{greatest, sum};
    for (std::int64_t row = 0; row < head.queries; row += kQueries) {
        const std::int64_t rows = std::min(kQueries, head.queries - row);
        running.reset(rows);
        T* out = o + row * head.stride;
        const auto [begin, end] = head.keyRange(row, rows);
        for (std::int64_t column = begin; column < end; column += kKeys)
            absorb(head, row, rows, column, std::min(kKeys, end - column), out, running, s);
        settle(head, rows, running, out, lse + row);
    }
}

template <typename T>
struct HeadGradients {
    T *dq, *dk, *dv;  // as q, k, v of Head
    bool addQ, addK, addV;
};

/// delta [rows] = rowsum(dO ∘ O), rows of `stride`.
template <typename T>
void outputDots(const T* o, const T* dO, std::int64_t rows, std::int64_t width, std::int64_t stride, T* delta) {
    for (std::int64_t i = 0; i < rows; ++i)
        delta[i] = (ConstRow<T>(o + i * stride, width) * ConstRow<T>(dO + i * stride, width)).sum();
}

/// The gradients that flow between the queries [row, row + rows) and the keys [column, column + columns), whose rows of
/// lse, delta and dO are given; out's three flags are for this pair of blocks. `lone`: no query has another key than
/// this one. `s` and `ds` [rows, columns] are scratch.
template <typename T>
void absorbBack(const Head<T>& head, std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns,
                bool lone, const T* lse, const T* delta, const T* dO, const HeadGradients<T>& out, T* s, T* ds) {
    constexpr T kNone = -std::numeric_limits<T>::infinity();
    const std::int64_t stride = head.stride;
    scores(head, row, rows, column, columns, s);
    head.product(
        {.m = rows, .n = columns, .k = head.width, .transposeB = true, .lda = stride, .ldb = stride, .ldc = columns},
        dO, head.v + column * stride, ds);
    for (std::int64_t i = 0; i < rows; ++i) {
        Row<T> p(s + i * columns, columns), d(ds + i * columns, columns);
        if (lse[i] == kNone)
            p.setZero();
        else
            p = (p * head.scale - lse[i]).exp();
        if (lone)
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
    const auto toKeys = [&](const T* weights, const T* x, double alpha, bool add, T* gradient) {
        head.product({.m = columns,
                      .n = head.width,
                      .k = rows,
                      .transposeA = true,
                      .lda = columns,
                      .ldb = stride,
                      .ldc = stride,
                      .alpha = alpha,
                      .beta = add ? 1.0 : 0.0},
                     weights, x, gradient + column * stride);
    };
    toKeys(s, dO, 1.0, out.addV, out.dv);
    toKeys(ds, head.q + row * stride, scale, out.addK, out.dk);
    head.product({.m = rows,
                  .n = head.width,
                  .k = columns,
                  .lda = columns,
                  .ldb = stride,
                  .ldc = stride,
                  .alpha = scale,
                  .beta = out.addQ ? 1.0 : 0.0},
                 ds, head.k + column * stride, out.dq + row * stride);
}

/// From o, lse and dL/do the gradients of q, k and v: with P = exp(s·scale − lse), dV = Pᵀ·dO,
/// dS = P ∘ (dO·Vᵀ − rowsum(dO ∘ O)), dQ = scale·dS·K, dK = scale·dSᵀ·Q (Dao et al. 2022, Algorithm 4).
/// `s` and `ds` [kQueries, kKeys], `delta` [kQueries] are scratch.
template <typename T>
void backward(const Head<T>& head, const T* o, const T* lse, const T* dO, const HeadGradients<T>& out, T* s, T* ds,
              T* delta) {
    const std::int64_t stride = head.stride;
    // In a band the first block of queries does not come past every key.
    const bool addK = out.addK || head.banded(), addV = out.addV || head.banded();
    for (const auto& [gradient, add] : {std::pair{out.dk, out.addK}, std::pair{out.dv, out.addV}})
        if (head.banded() && !add)
            for (std::int64_t j = 0; j < head.keys; ++j) std::fill_n(gradient + j * stride, head.width, T(0));
    for (std::int64_t row = 0; row < head.queries; row += kQueries) {
        const std::int64_t rows = std::min(kQueries, head.queries - row);
        outputDots(o + row * stride, dO + row * stride, rows, head.width, stride, delta);
        const auto [begin, end] = head.keyRange(row, rows);
        if (begin >= end && !out.addQ)
            for (std::int64_t i = row; i < row + rows; ++i) std::fill_n(out.dq + i * stride, head.width, T(0));
        for (std::int64_t column = begin; column < end; column += kKeys)
            absorbBack(head, row, rows, column, std::min(kKeys, end - column), head.keys == 1, lse + row, delta,
                       dO + row * stride,
                       {out.dq, out.dk, out.dv, column > begin || out.addQ, addK || row > 0, addV || row > 0}, s, ds);
    }
}

}  // namespace linscope::blocks
