#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstdint>
#include <utility>

#include "core/attention/head_scan.h"

// One chunk of the gated delta rule for one head of one sample; delta_rule.h has the formulas.

namespace linscope::delta {

/// One head: rows of q, k, v, o, u and their gradients are `stride` apart, those of beta and logAlpha `heads`.
template <typename T>
struct Head {
    std::int64_t length = 0, width = 0, stride = 0, heads = 0, chunk = 0;
    const T *q = nullptr, *k = nullptr, *v = nullptr, *beta = nullptr;
    const T* logAlpha = nullptr;  // null: α = 1
};

/// Where the gradients of one head go, laid out as the inputs; `keep` 0: overwritten, 1: added to.
template <typename T>
struct Gradients {
    struct Place {
        T* data = nullptr;
        double keep = 0;
        void write(std::int64_t at, T value) const { data[at] = keep == 0 ? value : data[at] + value; }
    };
    Place q, k, v, beta, logAlpha;  // logAlpha.data null: α = 1
};

/// What one thread works in.
template <typename T>
struct Workspace {
    Workspace(std::int64_t chunk, std::int64_t width, T* memory) {
        const auto take = [&](std::int64_t count) { return std::exchange(memory, memory + count); };
        decay = take(chunk * chunk);
        keys = take(chunk * chunk);
        scores = take(chunk * chunk);
        gradient = take(chunk * chunk);
        scaled = take(chunk * width);
        read = take(chunk * width);
        du = take(chunk * width);
        state = take(width * width);
        fromStart = take(chunk);
        toEnd = take(chunk);
        dSum = take(chunk);
        dBeta = take(chunk);
    }
    static std::int64_t size(std::int64_t chunk, std::int64_t width) {
        return 4 * chunk * chunk + 3 * chunk * width + width * width + 4 * chunk;
    }
    T *decay, *keys, *scores, *gradient;  // [C,C] e^(G_i − G_j), KKᵀ, scale·QKᵀ∘decay, dL/d(one of them)
    T *scaled, *read, *du;                // [C,D] rows times weights, what a state says to rows, dL/dU
    T* state;                             // [D,D] S, or dL/dS in the backward pass
    T *fromStart, *toEnd, *dSum, *dBeta;  // [C] e^G_i, e^(G_n − G_i), dL/dG, dL/dβ
};

/// The head's tokens [begin, begin + count()).
template <typename T>
class Chunk {
public:
    Chunk(const Head<T>& head, const Workspace<T>& space, std::int64_t begin)
        : m_head(head),
          m_space(space),
          m_begin(begin),
          m_n(std::min(head.chunk, head.length - begin)),
          m_c(head.chunk),
          m_d(head.width),
          m_scale(1.0 / std::sqrt(static_cast<double>(head.width))) {
        T* sums = space.dSum;  // G, for as long as the decays are made
        double sum = 0;        // in double: differences of long sums follow
        for (std::int64_t i = 0; i < m_n; ++i) {
            if (head.logAlpha != nullptr) sum += static_cast<double>(head.logAlpha[(begin + i) * head.heads]);
            sums[i] = static_cast<T>(sum);
        }
        for (std::int64_t i = 0; i < m_n; ++i) {
            space.fromStart[i] = std::exp(sums[i]);
            space.toEnd[i] = std::exp(sums[m_n - 1] - sums[i]);
            Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>(space.decay + i * m_c, i + 1) =
                (sums[i] - Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>(sums, i + 1)).exp();
        }
    }

    /// With S before the chunk in space.state: u and o of the chunk, and S after it in the same place.
    void forward(T* allU, T* allO) const {
        T *u = part(allU), *o = part(allO), *state = m_space.state;
        const Factor<T> uRows{u, m_head.stride};
        residuals(u, m_head.stride, state);
        for (std::int64_t t = 0; t < m_n; ++t) Row(u + t * m_head.stride, m_d) *= beta(t);
        product<T>(m_n, m_n, m_d, k(), ~k(), {m_space.keys, m_c});
        for (std::int64_t t = 1; t < m_n; ++t)  // (I + A)·U = B from the first row on
            for (std::int64_t j = 0; j < t; ++j)
                Row(u + t * m_head.stride, m_d) -= weight(t, j) * ConstRow(u + j * m_head.stride, m_d);
        attend();
        product<T>(m_n, m_d, m_n, {m_space.scores, m_c}, uRows, {o, m_head.stride});
        scaleRows(q(), m_space.fromStart);
        product<T>(m_n, m_d, m_d, {m_space.scaled, m_d}, {state, m_d}, {o, m_head.stride, 1.0}, m_scale);
        scaleRows(k(), m_space.toEnd);
        product<T>(m_d, m_d, m_n, ~Factor<T>{m_space.scaled, m_d}, uRows, {state, m_d, fading()});
    }

    /// From S before the chunk, the whole u and dL/do, and dL/d(S after it) in space.state: the gradients, and
    /// dL/d(S before it) in the same place.
    void backward(const T* before, const T* allU, const T* allG, const Gradients<T>& out) const {
        const Factor<T> u{allU + m_begin * m_head.stride, m_head.stride};
        const Factor<T> g{allG + m_begin * m_head.stride, m_head.stride};
        const Factor<T> s{before, m_d}, ds{m_space.state, m_d}, du{m_space.du, m_d}, scaled{m_space.scaled, m_d},
            square{m_space.gradient, m_c};
        const std::int64_t stride = m_head.stride;
        T *dq = part(out.q.data), *dk = part(out.k.data);
        std::fill_n(m_space.dSum, m_n, T(0));
        product<T>(m_n, m_n, m_d, k(), ~k(), {m_space.keys, m_c});
        attend();

        // dU = Pᵀ·g + diag(e^(G_n − G))·K·dS, then (I + A)ᵀ·dB = dU from the last row on.
        product<T>(m_n, m_d, m_n, ~Factor<T>{m_space.scores, m_c}, g, {m_space.du, m_d});
        scaleRows(k(), m_space.toEnd);
        product<T>(m_n, m_d, m_d, scaled, ds, {m_space.du, m_d, 1.0});
        for (std::int64_t t = m_n - 1; t > 0; --t)
            for (std::int64_t j = 0; j < t; ++j)
                Row(m_space.du + j * m_d, m_d) -= weight(t, j) * ConstRow(m_space.du + t * m_d, m_d);

        product<T>(m_n, m_n, m_d, g, ~u, {m_space.gradient, m_c});
        throughScores();
        product<T>(m_n, m_d, m_n, square, k(), {dq, stride, out.q.keep});
        product<T>(m_n, m_d, m_n, ~square, q(), {dk, stride, out.k.keep});
        product<T>(m_n, m_n, m_d, du, ~u, {m_space.gradient, m_c}, -1.0);  // dA
        throughKeys();
        product<T>(m_n, m_d, m_n, square, k(), {dk, stride, 1.0});

        // B = diag(β)·X: from here on du is dX, and so dV.
        residuals(m_space.read, m_d, before);
        for (std::int64_t t = 0; t < m_n; ++t) {
            Row dx(m_space.du + t * m_d, m_d);
            m_space.dBeta[t] += (dx * ConstRow(m_space.read + t * m_d, m_d)).sum();
            dx *= beta(t);
            for (std::int64_t c = 0; c < m_d; ++c) out.v.write((m_begin + t) * stride + c, m_space.du[t * m_d + c]);
        }
        product<T>(m_n, m_d, m_d, g, ~s, {m_space.read, m_d}, m_scale);
        throughState(q(), dq, m_space.fromStart, 1, false);
        product<T>(m_n, m_d, m_d, du, ~s, {m_space.read, m_d});
        throughState(k(), dk, m_space.fromStart, -1, false);
        product<T>(m_n, m_d, m_d, u, ~ds, {m_space.read, m_d});
        throughState(k(), dk, m_space.toEnd, 1, true);
        m_space.dSum[m_n - 1] +=
            static_cast<T>(fading()) * (ConstRow(before, m_d * m_d) * ConstRow(m_space.state, m_d * m_d)).sum();

        scaleRows(q(), m_space.fromStart);
        product<T>(m_d, m_d, m_n, ~scaled, g, {m_space.state, m_d, fading()}, m_scale);
        scaleRows(k(), m_space.fromStart);
        product<T>(m_d, m_d, m_n, ~scaled, du, {m_space.state, m_d, 1.0}, -1.0);

        T sum = 0;  // G_i holds log α of all tokens up to i
        for (std::int64_t t = m_n - 1; t >= 0; --t) {
            sum += m_space.dSum[t];
            const std::int64_t at = (m_begin + t) * m_head.heads;
            out.beta.write(at, m_space.dBeta[t]);
            if (out.logAlpha.data != nullptr) out.logAlpha.write(at, sum);
        }
    }

private:
    using Row = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
    using ConstRow = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;

    Factor<T> q() const { return {m_head.q + m_begin * m_head.stride, m_head.stride}; }
    Factor<T> k() const { return {m_head.k + m_begin * m_head.stride, m_head.stride}; }
    T* part(T* x) const { return x + m_begin * m_head.stride; }
    T beta(std::int64_t t) const { return m_head.beta[(m_begin + t) * m_head.heads]; }
    double fading() const { return static_cast<double>(m_space.fromStart[m_n - 1]); }
    /// A_tj; needs space.keys.
    T weight(std::int64_t t, std::int64_t j) const {
        return beta(t) * m_space.decay[t * m_c + j] * m_space.keys[t * m_c + j];
    }

    /// space.scaled = rows of x, each times its weight.
    void scaleRows(const Factor<T>& x, const T* weights) const {
        for (std::int64_t t = 0; t < m_n; ++t)
            Row(m_space.scaled + t * m_d, m_d) = weights[t] * ConstRow(x.data + t * x.stride, m_d);
    }
    /// x = V − diag(e^G)·K·S with the state before the chunk; rows of x are `stride` apart.
    void residuals(T* x, std::int64_t stride, const T* state) const {
        product<T>(m_n, m_d, m_d, k(), {state, m_d}, {x, stride});
        for (std::int64_t t = 0; t < m_n; ++t)
            Row(x + t * stride, m_d) = ConstRow(m_head.v + (m_begin + t) * m_head.stride, m_d) -
                                       m_space.fromStart[t] * ConstRow(x + t * stride, m_d);
    }
    /// space.scores = scale·QKᵀ times the decays, 0 above the diagonal.
    void attend() const {
        product<T>(m_n, m_n, m_d, q(), ~k(), {m_space.scores, m_c}, m_scale);
        for (std::int64_t i = 0; i < m_n; ++i) {
            Row(m_space.scores + i * m_c, i + 1) *= ConstRow(m_space.decay + i * m_c, i + 1);
            std::fill(m_space.scores + i * m_c + i + 1, m_space.scores + i * m_c + m_n, T(0));
        }
    }
    /// space.gradient: dL/d(scores) becomes dL/d(QKᵀ); the exponents G_i − G_j get their share.
    void throughScores() const {
        for (std::int64_t i = 0; i < m_n; ++i) {
            T* line = m_space.gradient + i * m_c;
            for (std::int64_t j = 0; j < i; ++j) {  // on the diagonal the exponent is 0
                const T share = line[j] * m_space.scores[i * m_c + j];
                m_space.dSum[i] += share;
                m_space.dSum[j] -= share;
                line[j] *= static_cast<T>(m_scale) * m_space.decay[i * m_c + j];
            }
            line[i] *= static_cast<T>(m_scale);
            std::fill(line + i + 1, line + m_n, T(0));
        }
    }
    /// space.gradient: dL/dA below the diagonal becomes the symmetric dL/d(KKᵀ) of both its factors; β and the
    /// exponents get their share.
    void throughKeys() const {
        for (std::int64_t t = 0; t < m_n; ++t) {
            T* line = m_space.gradient + t * m_c;
            m_space.dBeta[t] = 0;
            for (std::int64_t j = 0; j < t; ++j) {
                const T faded = line[j] * m_space.decay[t * m_c + j], share = faded * m_space.keys[t * m_c + j];
                m_space.dBeta[t] += share;
                m_space.dSum[t] += beta(t) * share;
                m_space.dSum[j] -= beta(t) * share;
                line[j] = m_space.gradient[j * m_c + t] = beta(t) * faded;
            }
            line[t] = 0;
        }
    }
    /// Of a term Σ sign·weight_t·⟨x_t, read_t⟩ the gradients of x, and of the exponents of the weights.
    void throughState(const Factor<T>& x, T* dx, const T* weights, int sign, bool ending) const {
        for (std::int64_t t = 0; t < m_n; ++t) {
            const ConstRow read(m_space.read + t * m_d, m_d);
            const T factor = static_cast<T>(sign) * weights[t];
            Row(dx + t * x.stride, m_d) += factor * read;
            const T share = factor * (ConstRow(x.data + t * x.stride, m_d) * read).sum();
            if (!ending) m_space.dSum[t] += share;
            if (ending && t < m_n - 1) {  // the exponent G_n − G_t; of the last token it is 0
                m_space.dSum[t] -= share;
                m_space.dSum[m_n - 1] += share;
            }
        }
    }

    const Head<T>& m_head;
    const Workspace<T>& m_space;
    std::int64_t m_begin, m_n, m_c, m_d;
    double m_scale;
};

}  // namespace linscope::delta
