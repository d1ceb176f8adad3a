#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

#include "core/attention/attend_head.h"
#include "core/attention/lane_product.h"
#include "core/ops/exponential.h"
#include "core/ops/gemm.h"

namespace linscope::blocks {

template <typename T>
inline constexpr T kNone = -std::numeric_limits<T>::infinity();

/// Rounds factors of products to the head's precision; sums of exponentials are not rounded.
template <typename T>
void roundFactors(Precision precision, T* x, std::int64_t count) {
    if constexpr (std::is_same_v<T, float>)
        if (precision == Precision::Bf16)
            for (std::int64_t i = 0; i < count; ++i) x[i] = roundToBf16(x[i]);
}

/// to [rows, padded] = rows of `from` in the precision of products, zeros beyond `width`.
template <typename T>
void pack(const T* from, std::int64_t stride, std::int64_t rows, std::int64_t width, std::int64_t padded,
          Precision precision, T* to) {
    for (std::int64_t i = 0; i < rows; ++i) {
#pragma omp simd  // a row is too short for a call of memcpy
        for (std::int64_t d = 0; d < width; ++d) to[i * padded + d] = from[i * stride + d];
        std::fill(to + i * padded + width, to + (i + 1) * padded, T(0));
    }
    roundFactors(precision, to, rows * padded);
}

/// to [width, lanes] = the transpose of `from`'s rows in the precision of products, zeros in the lanes beyond.
template <typename T>
void packTransposed(const T* from, std::int64_t stride, std::int64_t rows, std::int64_t width, std::int64_t lanes,
                    Precision precision, T* to) {
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t d = 0; d < width; ++d) to[d * lanes + i] = from[i * stride + d];
    for (std::int64_t d = 0; d < width; ++d) std::fill(to + d * lanes + rows, to + (d + 1) * lanes, T(0));
    roundFactors(precision, to, width * lanes);
}

/// A block of queries on its way past its keys. Vectors run over queries: the scores of a block of keys are
/// s [columns, lanes], a row a key, so that maxima and sums over keys are those of whole vectors, and q, o, dO and dq
/// are kept transposed. Lanes are the rows, rounded up to whole panels; what is in those beyond is never written out.
template <typename T>
class Block {
    static_assert(kQueries % kPanel<T> == 0, "the memory is for as many lanes as there are queries");

public:
    /// Numbers that the block needs as its memory, for heads of this width.
    static std::int64_t size(std::int64_t width) {
        return 4 * width * kQueries + 2 * paddedWidth(width) * kQueries + 4 * kQueries +
               (2 * width + paddedWidth(width) + 2 * kQueries) * kKeys;
    }
    Block(T* memory, std::int64_t width) {
        const auto take = [&](std::int64_t count) { return std::exchange(memory, memory + count); };
        for (T** p : {&m_qT, &m_oT, &m_dOT, &m_dqT}) *p = take(width * kQueries);
        for (T** p : {&m_q, &m_dO}) *p = take(paddedWidth(width) * kQueries);
        for (T** p : {&m_greatest, &m_sum, &m_base, &m_shrink}) *p = take(kQueries);
        for (T** p : {&m_keys, &m_values}) *p = take(width * kKeys);
        m_gradient = take(paddedWidth(width) * kKeys);
        for (T** p : {&m_s, &m_ds}) *p = take(kQueries * kKeys);
    }

    /// The queries [row, row + rows) of the head set out.
    void begin(const Head<T>& head, std::int64_t row, std::int64_t rows) {
        open(head, row, rows);
        std::fill_n(m_oT, head.width * m_lanes, T(0));
        std::fill_n(m_greatest, m_lanes, kNone<T>);
        std::fill_n(m_sum, m_lanes, T(0));
    }

    /// They come past the keys [column, column + columns) of a head with the same queries.
    void absorb(const Head<T>& head, std::int64_t column, std::int64_t columns) {
        scores(head, column, columns);
        T *s = m_s, *base = m_base, *sum = m_sum;
        const T scale = head.scale * T(kLog2e);
        const std::int64_t lanes = m_lanes;
        std::copy_n(m_greatest, lanes, base);
        for (std::int64_t j = 0; j < columns; ++j)
#pragma omp simd
            for (std::int64_t i = 0; i < lanes; ++i) {
                const T score = s[j * lanes + i] * scale;
                base[i] = score > base[i] ? score : base[i];
            }
        for (std::int64_t i = 0; i < lanes; ++i) {
            const T top = base[i];
            base[i] = top == kNone<T> ? T(0) : top;  // only unseen keys so far
            const T shrink = exp2Of(m_greatest[i] - base[i]);
            m_greatest[i] = top;
            sum[i] *= shrink;
            m_shrink[i] = shrink;
        }
        for (std::int64_t d = 0; d < head.width; ++d)
#pragma omp simd
            for (std::int64_t i = 0; i < lanes; ++i) m_oT[d * lanes + i] *= m_shrink[i];
        for (std::int64_t j = 0; j < columns; ++j)
#pragma omp simd
            for (std::int64_t i = 0; i < lanes; ++i) {
                const T p = exp2Of(s[j * lanes + i] * scale - base[i]);
                sum[i] += p;
                s[j * lanes + i] = p;
            }
        roundFactors(head.precision, s, columns * lanes);
        pack(head.v + column * head.stride, head.stride, columns, head.width, head.width, head.precision, m_values);
        laneProduct<T>(head.width, lanes, columns, {m_values, 1, head.width}, s, m_oT, true);
    }

    /// Writes the rows of o, divided by the sums, and the logarithm of each row's sum of exponentials (−∞ for a query
    /// without keys, whose row is 0).
    void settle(const Head<T>& head, T* out, T* lse) const {
        for (std::int64_t i = 0; i < m_rows; ++i) {
            const T sum = m_sum[i], factor = sum != T(0) ? T(1) / sum : T(0);
            for (std::int64_t d = 0; d < head.width; ++d) out[i * head.stride + d] = m_oT[d * m_lanes + i] * factor;
            lse[i] = sum != T(0) ? m_greatest[i] / T(kLog2e) + std::log(sum) : kNone<T>;
        }
    }

    /// The queries [row, row + rows) set out backwards; their rows of o, dO and lse are given.
    void beginBack(const Head<T>& head, std::int64_t row, std::int64_t rows, const T* o, const T* dO, const T* lse) {
        open(head, row, rows);
        const std::int64_t width = head.width, stride = head.stride;
        pack(head.q + row * stride, stride, rows, width, paddedWidth(width), head.precision, m_q);
        pack(dO, stride, rows, width, paddedWidth(width), head.precision, m_dO);
        packTransposed(dO, stride, rows, width, m_lanes, head.precision, m_dOT);
        std::fill_n(m_dqT, width * m_lanes, T(0));
        for (std::int64_t i = 0; i < m_lanes; ++i) {
            const bool hasKeys = i < rows && lse[i] != kNone<T>;
            m_base[i] = hasKeys ? lse[i] * T(kLog2e) : -kNone<T>;  // all weights are 0
            m_sum[i] = 0;
            for (std::int64_t d = 0; i < rows && d < width; ++d) m_sum[i] += o[i * stride + d] * dO[i * stride + d];
        }
    }

    /// The gradients that flow between them and the keys [column, column + columns): those of the keys and values go to
    /// the head's dk and dv [S,D] (added to where said). `lone`: no query has another key than this one.
    void absorbBack(const Head<T>& head, std::int64_t column, std::int64_t columns, bool lone, T* dk, bool addK, T* dv,
                    bool addV) {
        const std::int64_t width = head.width, stride = head.stride, lanes = m_lanes, padded = paddedWidth(width);
        scores(head, column, columns);
        pack(head.v + column * stride, stride, columns, width, width, head.precision, m_values);
        laneProduct<T>(columns, lanes, width, {m_values, width, 1}, m_dOT, m_ds);
        T *s = m_s, *ds = m_ds;
        const T *lse = m_base, *delta = m_sum, scale = head.scale * T(kLog2e);
        for (std::int64_t j = 0; j < columns; ++j)
#pragma omp simd
            for (std::int64_t i = 0; i < lanes; ++i) {
                const T p = exp2Of(s[j * lanes + i] * scale - lse[i]);
                s[j * lanes + i] = p;
                ds[j * lanes + i] = p * (ds[j * lanes + i] - delta[i]);
            }
        const Tile tile{head.past + m_row, m_rows, lanes, column, columns};
        fillUnseen(head, tile, T(0), ds);
        // Its weight is 1 whatever the score; the difference would be rounding alone.
        if (lone) std::fill_n(ds, columns * lanes, T(0));
        if (head.biasGradient != nullptr)
            for (std::int64_t j = 0; j < columns; ++j)
                for (std::int64_t i = 0; i < m_rows; ++i)
                    head.biasGradient[relativeBucket(column + j - tile.row - i, head.causal)] += ds[j * lanes + i];
        roundFactors(head.precision, s, columns * lanes);
        roundFactors(head.precision, ds, columns * lanes);
        const auto toKeys = [&](const T* weights, const T* x, T factor, T* gradient, bool add) {
            laneProduct<T>(columns, padded, m_rows, {weights, lanes, 1}, x, m_gradient);
            for (std::int64_t j = 0; j < columns; ++j) {
                T* to = gradient + (column + j) * stride;
                for (std::int64_t d = 0; d < width; ++d)
                    to[d] = (add ? to[d] : T(0)) + factor * m_gradient[j * padded + d];
            }
        };
        toKeys(s, m_dO, T(1), dv, addV);
        toKeys(ds, m_q, head.scale, dk, addK);
        laneProduct<T>(width, lanes, columns, {m_keys, 1, width}, ds, m_dqT, true);
    }

    /// Writes the rows of dq, or adds to them.
    void settleBack(const Head<T>& head, T* dq, bool add) const {
        for (std::int64_t i = 0; i < m_rows; ++i)
            for (std::int64_t d = 0; d < head.width; ++d) {
                T& to = dq[i * head.stride + d];
                to = (add ? to : T(0)) + head.scale * m_dqT[d * m_lanes + i];
            }
    }

private:
    static std::int64_t paddedWidth(std::int64_t width) {
        return wholePanels<T>(width);
    }

    void open(const Head<T>& head, std::int64_t row, std::int64_t rows) {
        m_row = row;
        m_rows = rows;
        m_lanes = wholePanels<T>(rows);
        packTransposed(head.q + row * head.stride, head.stride, rows, head.width, m_lanes, head.precision, m_qT);
    }

    /// m_s = the scores, not scaled; −∞ where a query does not see the key. The keys stay in m_keys.
    void scores(const Head<T>& head, std::int64_t column, std::int64_t columns) {
        pack(head.k + column * head.stride, head.stride, columns, head.width, head.width, head.precision, m_keys);
        laneProduct<T>(columns, m_lanes, head.width, {m_keys, head.width, 1}, m_qT, m_s);
        const Tile tile{head.past + m_row, m_rows, m_lanes, column, columns};
        addDistances(head, tile, m_s);
        fillUnseen(head, tile, kNone<T>, m_s);
    }

    std::int64_t m_row = 0, m_rows = 0, m_lanes = 0;
    T *m_qT, *m_oT, *m_dOT, *m_dqT;             // [D, lanes]
    T *m_q, *m_dO;                              // [rows, D padded]
    T *m_greatest, *m_sum, *m_base, *m_shrink;  // [lanes]; backwards m_base is lse and m_sum is rowsum(dO ∘ O)
    T *m_keys, *m_values, *m_gradient;          // [columns, D], the last one padded
    T *m_s, *m_ds;                              // [columns, lanes]
};

/// Writes o and lse of the queries from `row` on, as many as a block has, in one softmax over the keys of all heads:
/// lists of keys that the queries of the last one see.
template <typename T>
void forward(std::span<const Head<T>> heads, std::int64_t row, T* o, T* lse, Block<T>& block) {
    const Head<T>& last = heads.back();
    const std::int64_t rows = std::min(kQueries, last.queries - row);
    block.begin(last, row, rows);
    for (const Head<T>& head : heads) {
        const auto [begin, end] = head.keyRange(row, rows);
        for (std::int64_t column = begin; column < end; column += kKeys)
            block.absorb(head, column, std::min(kKeys, end - column));
    }
    block.settle(last, o + row * last.stride, lse + row);
}

template <typename T>
struct HeadGradients {
    T *dq, *dk, *dv;  // as q, k, v of Head
    bool addQ, addK, addV;
};

/// From o, lse and dL/do the gradients that flow between all queries and the keys [firstKey, lastKey), whole blocks of
/// them: those keys' dk and dv, and their share of dq. With P = exp(s·scale − lse), dV = Pᵀ·dO,
/// dS = P ∘ (dO·Vᵀ − rowsum(dO ∘ O)), dQ = scale·dS·K, dK = scale·dSᵀ·Q (Dao et al. 2022, Algorithm 4).
template <typename T>
void backward(const Head<T>& head, std::int64_t firstKey, std::int64_t lastKey, const T* o, const T* lse, const T* dO,
              const HeadGradients<T>& out, Block<T>& block) {
    const std::int64_t stride = head.stride;
    // In a band the first block of queries does not come past every key.
    const bool addK = out.addK || head.banded(), addV = out.addV || head.banded();
    for (const auto& [gradient, add] : {std::pair{out.dk, out.addK}, std::pair{out.dv, out.addV}})
        if (head.banded() && !add)
            for (std::int64_t j = firstKey; j < lastKey; ++j) std::fill_n(gradient + j * stride, head.width, T(0));
    for (std::int64_t row = 0; row < head.queries; row += kQueries) {
        const std::int64_t rows = std::min(kQueries, head.queries - row);
        const auto [begin, end] = head.keyRange(row, rows);
        const std::int64_t last = std::min(end, lastKey);
        block.beginBack(head, row, rows, o + row * stride, dO + row * stride, lse + row);
        for (std::int64_t column = std::max(begin, firstKey); column < last; column += kKeys)
            block.absorbBack(head, column, std::min(kKeys, last - column), head.keys == 1, out.dk, addK || row > 0,
                             out.dv, addV || row > 0);
        block.settleBack(head, out.dq + row * stride, out.addQ);
    }
}

}  // namespace linscope::blocks
