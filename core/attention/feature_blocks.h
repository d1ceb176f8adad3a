#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/attention/feature_attention.h"
#include "core/attention/feature_map.h"
#include "core/ops/gemm.h"

namespace linscope::features {

inline constexpr std::int64_t kCausalChunk = 64;  // the masked products grow with it, the calls shrink
inline constexpr std::int64_t kChunk = 128;
template <typename T>
inline constexpr T kNothing = FeatureMemory<T>::kNothing;  // the log weight of padding

template <typename T>
using Vector = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
template <typename T>
using Rows = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
template <typename T>
using RowMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// One head of one sample. Rows of q, k, v, o and of their gradients are `stride` apart.
template <typename T>
struct Head {
    const FeatureMap* map = nullptr;
    std::int64_t index = 0, length = 0, width = 0, stride = 0;
    const T *q = nullptr, *k = nullptr, *v = nullptr;
    const float* keep = nullptr;  // [T] or null
    bool causal = false;
    Normaliser normaliser = Normaliser::Sum;
    T slope = 0;
    Precision precision = Precision::Single;  // of the products; sums of features are not rounded
    // Kept from the forward pass.
    T *phiQ = nullptr, *phiK = nullptr;  // [T,M], or null: computed again
    T* logWeights = nullptr;             // [T] log weight of each key, with the decay counted from its chunk's start
    T* top = nullptr;                    // [T] greatest log weight among the keys that a query sees
    T* divisor = nullptr;                // [T] of each query's row
    T *state = nullptr, *sum = nullptr;  // [M,D], [M], bidirectional alone
    FeatureMemory<T> carried = {};       // what a causal pass goes on from and leaves, or null

    /// multiply() with factors in the head's precision.
    void product(Product p, const T* a, const T* b, T* c) const {
        p.precision = precision;
        multiply(p, a, b, c);
    }
    std::int64_t features() const { return map->features(); }
    bool weighted() const { return map->weighted() || slope != T(0); }
    std::int64_t chunk() const { return causal ? kCausalChunk : kChunk; }
    /// The maximum with which the state comes into the chunk at `begin`, counted from there.
    T topBefore(std::int64_t begin) const {
        if (begin > 0) return top[begin - 1] - slope * static_cast<T>(chunk());
        return carried.top != nullptr ? *carried.top - slope : kNothing<T>;
    }
    /// Whether a state comes into the chunk at `begin`.
    bool hasPast(std::int64_t begin) const { return begin > 0 || carried.top != nullptr; }
};

template <typename T>
struct Gradients {
    const T *o = nullptr, *dO = nullptr;
    T *dq = nullptr, *dk = nullptr, *dv = nullptr;
    bool addQ = false, addK = false, addV = false;
    T* parameter = nullptr;
};

/// What one thread needs, for chunks of C rows.
template <typename T>
struct Scratch {
    T *phiQ, *phiK, *dPhi;    // [C,M]
    T *a, *da;                // [C,C]
    T *g, *values, *product;  // [C,D]
    T *weights, *delta;       // [C]
    T *state, *sum;           // [M,D], [M]

    static std::int64_t padded(std::int64_t count) { return (count + 15) / 16 * 16; }
    static std::int64_t size(std::int64_t features, std::int64_t width, std::int64_t chunk) {
        return 3 * padded(chunk * features) + 2 * padded(chunk * chunk) + 3 * padded(chunk * width) +
               2 * padded(chunk) + padded(features * width) + padded(features);
    }
    Scratch(T* memory, std::int64_t features, std::int64_t width, std::int64_t chunk) {
        const auto take = [&](std::int64_t count) {
            T* part = memory;
            memory += padded(count);
            return part;
        };
        for (T** p : {&phiQ, &phiK, &dPhi}) *p = take(chunk * features);
        for (T** p : {&a, &da}) *p = take(chunk * chunk);
        for (T** p : {&g, &values, &product}) *p = take(chunk * width);
        for (T** p : {&weights, &delta}) *p = take(chunk);
        state = take(features * width);
        sum = take(features);
    }
};

/// φ̃ of the queries [begin, begin + rows).
template <typename T>
const T* queryFeatures(const Head<T>& head, std::int64_t begin, std::int64_t rows, const Scratch<T>& s, bool kept) {
    T* phi = head.phiQ != nullptr ? head.phiQ + begin * head.features() : s.phiQ;
    if (kept && head.phiQ != nullptr) return phi;
    head.map->forward(FeatureBlock<T>{.head = head.index,
                                      .rows = rows,
                                      .width = head.width,
                                      .stride = head.stride,
                                      .x = head.q + begin * head.stride,
                                      .phi = phi});
    return phi;
}

/// φ̃ of the keys [begin, begin + rows), 0 for padding, and their log weights.
template <typename T>
const T* keyFeatures(const Head<T>& head, std::int64_t begin, std::int64_t rows, const Scratch<T>& s, bool kept) {
    const std::int64_t features = head.features();
    T *phi = head.phiK != nullptr ? head.phiK + begin * features : s.phiK, *c = head.logWeights + begin;
    if (kept && head.phiK != nullptr) return phi;
    head.map->forward(FeatureBlock<T>{.head = head.index,
                                      .keys = true,
                                      .rows = rows,
                                      .width = head.width,
                                      .stride = head.stride,
                                      .x = head.k + begin * head.stride,
                                      .phi = phi,
                                      .logWeights = c});
    if (!head.map->weighted()) std::fill_n(c, rows, T(0));
    for (std::int64_t j = 0; j < rows; ++j) {
        c[j] += head.slope * static_cast<T>(j);
        if (head.keep == nullptr || head.keep[begin + j] != 0.0f) continue;
        std::fill_n(phi + j * features, features, T(0));
        c[j] = kNothing<T>;
    }
    return phi;
}

/// e^(c_j − top) of the keys of a chunk.
template <typename T>
void keyWeights(const Head<T>& head, std::int64_t begin, std::int64_t rows, T top, T* weights) {
    Vector<T>(weights, rows) = (Vector<T>(head.logWeights + begin, rows) - top).exp();
}

/// a [rows, rows] times e^(c_j − top_i), and 0 for keys of the future.
template <typename T>
void weighAndMask(const Head<T>& head, std::int64_t begin, std::int64_t rows, T* weights, T* a) {
    for (std::int64_t i = 0; i < rows; ++i) {
        T* line = a + i * rows;
        if (head.weighted()) {
            // The maximum rises in steps: most rows have the weights of the row before.
            if (i == 0 || head.top[begin + i] != head.top[begin + i - 1])
                keyWeights(head, begin, rows, head.top[begin + i], weights);
            Vector<T>(line, i + 1) *= Vector<T>(weights, i + 1);
        }
        std::fill(line + i + 1, line + rows, T(0));
    }
}

/// Rows of x times e^(from − top_i); `from` comes before all of them.
template <typename T>
void fade(const Head<T>& head, std::int64_t begin, std::int64_t rows, T from, T* x, std::int64_t columns,
          std::int64_t stride) {
    if (!head.weighted()) return;
    for (std::int64_t i = 0; i < rows; ++i)
        if (const T top = head.top[begin + i]; top != from) Vector<T>(x + i * stride, columns) *= std::exp(from - top);
}

/// values = v times e^(c_j − top), and weights = e^(c_j − top); v itself where keys have no weights.
template <typename T>
std::pair<const T*, std::int64_t> weighValues(const Head<T>& head, std::int64_t begin, std::int64_t rows, T top,
                                              const Scratch<T>& s) {
    const T* v = head.v + begin * head.stride;
    if (!head.weighted()) {
        std::fill_n(s.weights, rows, T(1));
        return {v, head.stride};
    }
    keyWeights(head, begin, rows, top, s.weights);
    for (std::int64_t j = 0; j < rows; ++j)
        Vector<T>(s.values + j * head.width, head.width) =
            s.weights[j] * Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>(v + j * head.stride, head.width);
    return {s.values, head.width};
}

/// state = factor·state + φᵀ·y and sum = factor·sum + φᵀ·w. phi [rows,M], y [rows,D], w [rows]
template <typename T>
void absorb(const Head<T>& head, const T* phi, std::int64_t rows, const T* y, std::int64_t strideY, const T* w,
            T factor, bool first, T* state, T* sum) {
    const std::int64_t features = head.features();
    head.product({.m = features,
                  .n = head.width,
                  .k = rows,
                  .transposeA = true,
                  .lda = features,
                  .ldb = strideY,
                  .ldc = head.width,
                  .beta = first ? 0.0 : static_cast<double>(factor)},
                 phi, y, state);
    Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>> total(sum, features);
    if (first)
        total.setZero();
    else if (factor != T(1))
        total *= factor;
    total.noalias() += Eigen::Map<const RowMatrix<T>>(phi, rows, features).transpose() *
                       Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, 1>>(w, rows);
}

/// Takes the keys of a chunk into the state, whose maximum goes from `before` to `top`.
template <typename T>
void absorbKeys(const Head<T>& head, const T* phiK, std::int64_t begin, std::int64_t rows, T before, T top,
                const Scratch<T>& s, T* state, T* sum) {
    const auto [y, stride] = weighValues(head, begin, rows, top, s);
    absorb(head, phiK, rows, y, stride, s.weights, head.weighted() ? std::exp(before - top) : T(1),
           !head.hasPast(begin), state, sum);
}

/// g = dL/d(Σ_j a_ij·v_j) and delta = dL/d(Σ_j a_ij), from o, dO and the divisors.
template <typename T>
void rowGradients(const Head<T>& head, const Gradients<T>& out, std::int64_t begin, std::int64_t rows,
                  const Scratch<T>& s) {
    using Row = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;
    for (std::int64_t i = 0; i < rows; ++i) {
        const Row o(out.o + (begin + i) * head.stride, head.width), dO(out.dO + (begin + i) * head.stride, head.width);
        Vector<T> g(s.g + i * head.width, head.width);
        const T divisor = head.divisor[begin + i], inverse = divisor != T(0) ? T(1) / divisor : T(0);
        const T along = (o * dO).sum();
        if (head.normaliser == Normaliser::Sum) {
            g = dO * inverse;
            s.delta[i] = -along * inverse;
        } else {
            g = (dO - o * (along / static_cast<T>(head.width))) * inverse;
            s.delta[i] = 0;
        }
    }
}

/// Divides the rows of o, of which o holds Σ_j a_ij·v_j and divisor Σ_j a_ij, and keeps what it divided by.
template <typename T>
void divideRows(const Head<T>& head, std::int64_t rows, T* divisor, T* o) {
    for (std::int64_t i = 0; i < rows; ++i) {
        Vector<T> row(o + i * head.stride, head.width);
        if (head.normaliser == Normaliser::Rms) {
            // The greatest entry comes out first, so that no square over- or underflows.
            const T greatest = row.abs().maxCoeff();
            divisor[i] = greatest > T(0) ? greatest * std::sqrt((row / greatest).square().mean()) : T(0);
        }
        row *= divisor[i] != T(0) ? T(1) / divisor[i] : T(0);
    }
}

}  // namespace linscope::features
