#pragma once

#include "core/attention/feature_blocks.h"

namespace linscope::features {

template <typename T>
using Column = Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>>;
template <typename T>
using ConstColumn = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, 1>>;
template <typename T>
using ConstRows = Eigen::Map<const RowMatrix<T>>;

template <typename T>
void bidirectionalForward(const Head<T>& head, T* o, const Scratch<T>& s) {
    const std::int64_t features = head.features();
    T top = kNothing<T>;
    for (std::int64_t begin = 0; begin < head.length; begin += kChunk) {
        const std::int64_t rows = std::min(kChunk, head.length - begin);
        const T* phi = keyFeatures(head, begin, rows, s, false);
        const T before = top;
        if (head.weighted()) top = std::max(top, Vector<T>(head.logWeights + begin, rows).maxCoeff());
        absorbKeys(head, phi, begin, rows, before, top, s, head.state, head.sum);
    }
    std::fill_n(head.top, head.length, top);
    for (std::int64_t begin = 0; begin < head.length; begin += kChunk) {
        const std::int64_t rows = std::min(kChunk, head.length - begin);
        const T* phi = queryFeatures(head, begin, rows, s, false);
        T* out = o + begin * head.stride;
        head.product(
            {.m = rows, .n = head.width, .k = features, .lda = features, .ldb = head.width, .ldc = head.stride}, phi,
            head.state, out);
        Column<T>(head.divisor + begin, rows).noalias() =
            ConstRows<T>(phi, rows, features) * ConstColumn<T>(head.sum, features);
        divideRows(head, rows, head.divisor + begin, out);
    }
}

template <typename T>
void causalForward(const Head<T>& head, T* o, const Scratch<T>& s) {
    const std::int64_t features = head.features();
    const bool leaves = head.carried.top != nullptr;
    T *state = leaves ? head.carried.state : s.state, *sum = leaves ? head.carried.sum : s.sum;
    for (std::int64_t begin = 0; begin < head.length; begin += kCausalChunk) {
        const std::int64_t rows = std::min(kCausalChunk, head.length - begin);
        const T *phiQ = queryFeatures(head, begin, rows, s, false), *phiK = keyFeatures(head, begin, rows, s, false);
        T *top = head.top + begin, *divisor = head.divisor + begin, *out = o + begin * head.stride;
        const T before = head.topBefore(begin);
        for (std::int64_t i = 0; i < rows; ++i)
            top[i] = head.weighted() ? std::max(i == 0 ? before : top[i - 1], head.logWeights[begin + i]) : T(0);

        if (head.hasPast(begin)) {
            head.product(
                {.m = rows, .n = head.width, .k = features, .lda = features, .ldb = head.width, .ldc = head.stride},
                phiQ, state, out);
            Column<T>(divisor, rows).noalias() = ConstRows<T>(phiQ, rows, features) * ConstColumn<T>(sum, features);
            fade(head, begin, rows, before, out, head.width, head.stride);
            fade(head, begin, rows, before, divisor, 1, 1);
        } else {
            std::fill_n(divisor, rows, T(0));
        }
        head.product(
            {.m = rows, .n = rows, .k = features, .transposeB = true, .lda = features, .ldb = features, .ldc = rows},
            phiQ, phiK, s.a);
        weighAndMask(head, begin, rows, s.weights, s.a);
        Column<T>(divisor, rows) += ConstRows<T>(s.a, rows, rows).rowwise().sum();
        head.product({.m = rows,
                      .n = head.width,
                      .k = rows,
                      .lda = rows,
                      .ldb = head.stride,
                      .ldc = head.stride,
                      .beta = head.hasPast(begin) ? 1.0 : 0.0},
                     s.a, head.v + begin * head.stride, out);
        divideRows(head, rows, divisor, out);
        if (leaves || begin + rows < head.length)
            absorbKeys(head, phiK, begin, rows, before, top[rows - 1], s, state, sum);
        if (leaves) *head.carried.top = top[rows - 1] - head.slope * static_cast<T>(rows - 1);
    }
}

/// From dφ [rows,M] in s.dPhi to the gradient of the queries or keys of a chunk.
template <typename T>
void featuresBack(const Head<T>& head, bool keys, const T* phi, std::int64_t begin, std::int64_t rows,
                  const Gradients<T>& out, const Scratch<T>& s) {
    const std::int64_t at = begin * head.stride, features = head.features();
    if (keys && head.keep != nullptr)
        for (std::int64_t j = 0; j < rows; ++j)
            if (head.keep[begin + j] == 0.0f) std::fill_n(s.dPhi + j * features, features, T(0));
    head.map->backward(FeatureBlock<T>{.head = head.index,
                                       .keys = keys,
                                       .rows = rows,
                                       .width = head.width,
                                       .stride = head.stride,
                                       .x = (keys ? head.k : head.q) + at,
                                       .phi = const_cast<T*>(phi),
                                       .dPhi = s.dPhi,
                                       .dx = (keys ? out.dk : out.dq) + at,
                                       .add = keys ? out.addK : out.addQ,
                                       .parameterGradient = out.parameter});
}

/// dφ = x·stateᵀ + w·sumᵀ (added to, with `add`). x [rows,D], w [rows]
template <typename T>
void throughState(const Head<T>& head, std::int64_t rows, const T* x, std::int64_t stride, const T* w, const T* state,
                  const T* sum, bool add, T* dPhi) {
    const std::int64_t features = head.features();
    head.product({.m = rows,
                  .n = features,
                  .k = head.width,
                  .transposeB = true,
                  .lda = stride,
                  .ldb = head.width,
                  .ldc = features,
                  .beta = add ? 1.0 : 0.0},
                 x, state, dPhi);
    if (head.normaliser == Normaliser::Rms) return;  // nothing flows through the sum
    for (std::int64_t i = 0; i < rows; ++i)
        Vector<T>(dPhi + i * features, features) +=
            w[i] * Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>(sum, features);
}

/// dv_j += e^(c_j − top)·φ(k_j)ᵀ·state (or = ). The weights are in s.weights.
template <typename T>
void valuesBack(const Head<T>& head, const T* phiK, std::int64_t rows, const T* state, bool add, T* dv,
                const Scratch<T>& s) {
    const bool direct = !head.weighted();
    head.product({.m = rows,
                  .n = head.width,
                  .k = head.features(),
                  .lda = head.features(),
                  .ldb = head.width,
                  .ldc = direct ? head.stride : head.width,
                  .beta = direct && add ? 1.0 : 0.0},
                 phiK, state, direct ? dv : s.product);
    if (direct) return;
    for (std::int64_t j = 0; j < rows; ++j) {
        Vector<T> to(dv + j * head.stride, head.width);
        const Vector<T> from(s.product + j * head.width, head.width);
        if (add)
            to += s.weights[j] * from;
        else
            to = s.weights[j] * from;
    }
}

template <typename T>
void bidirectionalBackward(const Head<T>& head, const Gradients<T>& out, const Scratch<T>& s) {
    for (std::int64_t begin = 0; begin < head.length; begin += kChunk) {
        const std::int64_t rows = std::min(kChunk, head.length - begin);
        const T* phi = queryFeatures(head, begin, rows, s, true);
        rowGradients(head, out, begin, rows, s);
        throughState(head, rows, s.g, head.width, s.delta, head.state, head.sum, false, s.dPhi);
        absorb(head, phi, rows, s.g, head.width, s.delta, T(1), begin == 0, s.state, s.sum);
        featuresBack(head, false, phi, begin, rows, out, s);
    }
    for (std::int64_t begin = 0; begin < head.length; begin += kChunk) {
        const std::int64_t rows = std::min(kChunk, head.length - begin);
        const T* phi = keyFeatures(head, begin, rows, s, true);
        const auto [y, stride] = weighValues(head, begin, rows, head.top[0], s);
        throughState(head, rows, y, stride, s.weights, s.state, s.sum, false, s.dPhi);
        valuesBack(head, phi, rows, s.state, out.addV, out.dv + begin * head.stride, s);
        featuresBack(head, true, phi, begin, rows, out, s);
    }
}

/// da = g·vᵀ + delta within a chunk, times the weights, and 0 for keys of the future.
template <typename T>
void weightGradients(const Head<T>& head, std::int64_t begin, std::int64_t rows, const Scratch<T>& s) {
    head.product(
        {.m = rows, .n = rows, .k = head.width, .transposeB = true, .lda = head.width, .ldb = head.stride, .ldc = rows},
        s.g, head.v + begin * head.stride, s.da);
    for (std::int64_t i = 0; i < rows; ++i) Vector<T>(s.da + i * rows, rows) += s.delta[i];
    weighAndMask(head, begin, rows, s.weights, s.da);
}

/// Forwards over the chunks: S again, and with it the gradients of the queries.
template <typename T>
void causalBackwardQueries(const Head<T>& head, const Gradients<T>& out, const Scratch<T>& s) {
    const std::int64_t features = head.features();
    for (std::int64_t begin = 0; begin < head.length; begin += kCausalChunk) {
        const std::int64_t rows = std::min(kCausalChunk, head.length - begin);
        const T *phiQ = queryFeatures(head, begin, rows, s, true), *phiK = keyFeatures(head, begin, rows, s, true);
        const T before = head.topBefore(begin);
        rowGradients(head, out, begin, rows, s);
        if (begin > 0) {
            throughState(head, rows, s.g, head.width, s.delta, s.state, s.sum, false, s.dPhi);
            fade(head, begin, rows, before, s.dPhi, features, features);
        }
        weightGradients(head, begin, rows, s);
        head.product({.m = rows,
                      .n = features,
                      .k = rows,
                      .lda = rows,
                      .ldb = features,
                      .ldc = features,
                      .beta = begin > 0 ? 1.0 : 0.0},
                     s.da, phiK, s.dPhi);
        featuresBack(head, false, phiQ, begin, rows, out, s);
        if (begin + rows < head.length)
            absorbKeys(head, phiK, begin, rows, before, head.top[begin + rows - 1], s, s.state, s.sum);
    }
}

/// Backwards over the chunks: R = Σ φ(q_i)·g_iᵀ of later queries, and with it the gradients of keys and values.
template <typename T>
void causalBackwardKeys(const Head<T>& head, const Gradients<T>& out, const Scratch<T>& s) {
    const std::int64_t features = head.features(), last = (head.length - 1) / kCausalChunk * kCausalChunk;
    for (std::int64_t begin = last; begin >= 0; begin -= kCausalChunk) {
        const std::int64_t rows = std::min(kCausalChunk, head.length - begin);
        const T *phiQ = queryFeatures(head, begin, rows, s, true), *phiK = keyFeatures(head, begin, rows, s, true);
        const T before = head.topBefore(begin), end = head.top[begin + rows - 1];
        T* dv = out.dv + begin * head.stride;
        rowGradients(head, out, begin, rows, s);
        head.product(
            {.m = rows, .n = rows, .k = features, .transposeB = true, .lda = features, .ldb = features, .ldc = rows},
            phiQ, phiK, s.a);
        weighAndMask(head, begin, rows, s.weights, s.a);
        head.product({.m = rows,
                      .n = head.width,
                      .k = rows,
                      .transposeA = true,
                      .lda = rows,
                      .ldb = head.width,
                      .ldc = head.stride,
                      .beta = out.addV ? 1.0 : 0.0},
                     s.a, s.g, dv);
        weightGradients(head, begin, rows, s);
        head.product(
            {.m = rows, .n = features, .k = rows, .transposeA = true, .lda = rows, .ldb = features, .ldc = features},
            s.da, phiQ, s.dPhi);
        if (begin < last) {
            const auto [y, stride] = weighValues(head, begin, rows, end, s);
            throughState(head, rows, y, stride, s.weights, s.state, s.sum, true, s.dPhi);
            valuesBack(head, phiK, rows, s.state, true, dv, s);
        }
        featuresBack(head, true, phiK, begin, rows, out, s);
        if (begin == 0) return;
        fade(head, begin, rows, before, s.g, head.width, head.width);
        fade(head, begin, rows, before, s.delta, 1, 1);
        absorb(head, phiQ, rows, s.g, head.width, s.delta, head.weighted() ? std::exp(before - end) : T(1),
               begin == last, s.state, s.sum);
    }
}

}  // namespace linscope::features
