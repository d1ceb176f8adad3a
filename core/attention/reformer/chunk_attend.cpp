#include "core/attention/reformer/chunk_attend.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/autograd/tape.h"
#include "core/base/parallel.h"
#include "core/ops/gemm.h"

namespace linscope {
namespace {

template <typename T>
using Row = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
template <typename T>
using ConstRow = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;

struct Sizes {
    std::int64_t batch, length, heads, width, chunk, rounds;
    std::int64_t stride() const { return heads * width; }
    std::int64_t headCount() const { return batch * heads; }
};

/// What one thread works with.
template <typename T>
struct Scratch {
    T *inverseNorm, *greatest, *sum, *delta;  // [T] each
    T* dKey;                                  // [T,D], gradient of the normalised keys
    T *q, *dO, *o;                            // [c,D]
    T *k, *v, *dk;                            // [2c,D]
    T *s, *ds;                                // [c,2c]
    T* exponentials;                          // [2c]
    T* logs;                                  // [rounds + 1], of how often a key was met; the first is 0
    std::int32_t *keys, *met, *keyChunks;     // [2c] the window's keys, −1: none; [2c]; [rounds,2c]

    static std::int64_t elements(const Sizes& z) {
        return z.length * (4 + z.width) + 9 * z.chunk * z.width + 4 * z.chunk * z.chunk + 2 * z.chunk + z.rounds + 1;
    }
    static std::int64_t integers(const Sizes& z) { return (2 + z.rounds) * 2 * z.chunk; }
    Scratch(T* at, std::int32_t* integers, const Sizes& z) {
        const std::int64_t row = z.chunk * z.width, square = 2 * z.chunk * z.chunk;
        const auto take = [&](std::int64_t count) { return std::exchange(at, at + count); };
        inverseNorm = take(z.length), greatest = take(z.length), sum = take(z.length), delta = take(z.length);
        dKey = take(z.length * z.width);
        q = take(row), dO = take(row), o = take(row);
        k = take(2 * row), v = take(2 * row), dk = take(2 * row);
        s = take(square), ds = take(square);
        exponentials = take(2 * z.chunk);
        logs = take(z.rounds + 1);
        for (std::int64_t r = 0; r <= z.rounds; ++r) logs[r] = r > 1 ? std::log(static_cast<T>(r)) : T(0);
        keys = integers, met = keys + 2 * z.chunk, keyChunks = met + 2 * z.chunk;
    }
};

/// One chunk of sorted tokens and the one before it; columns [0, c) are that one's, [c, 2c) its own.
struct Window {
    const std::int32_t *own, *before;
    std::int64_t rows, earlier;  // tokens in each; earlier 0: there is none before
    std::int64_t keyAt(std::int64_t column, std::int64_t chunk) const {
        if (column < chunk) return column < earlier ? before[column] : -1;
        return column - chunk < rows ? own[column - chunk] : -1;
    }
};

template <typename Function>
void forWindows(const LshChunks& chunks, std::int64_t head, std::int64_t round, std::int64_t kept,
                Function&& function) {
    const std::int32_t *order = chunks.orderOf(head, round), *chunk = chunks.chunkOf(head, round);
    std::int64_t previous = 0, begin = 0;
    while (begin < kept) {
        std::int64_t end = begin;
        while (end < kept && chunk[order[end]] == chunk[order[begin]]) ++end;
        const bool neighbours = begin > 0 && chunk[order[begin]] - chunk[order[previous]] == 1;
        function(Window{order + begin, order + previous, end - begin, neighbours ? begin - previous : 0});
        previous = begin;
        begin = end;
    }
}

template <typename T>
class Head {
public:
    Head(const Sizes& sizes, std::int64_t index, const T* qk, const T* v, const LshChunks& chunks,
         const ChunkAttendOptions& options, Precision precision, T* scratch, std::int32_t* integers)
        : z(sizes),
          m_index(index),
          m_chunks(chunks),
          m_options(options),
          m_precision(precision),
          m(scratch, integers, sizes),
          m_kept(chunks.kept.as<std::int32_t>()[index / sizes.heads]),
          m_scale(T(1) / std::sqrt(static_cast<T>(sizes.width))) {
        const std::int64_t offset = this->offset();
        m_q = qk + offset;
        m_v = v + offset;
        for (std::int64_t t = 0; t < z.length; ++t) {
            const T norm = std::sqrt(ConstRow<T>(m_q + t * z.stride(), z.width).square().sum());
            m.inverseNorm[t] = T(1) / std::max(norm, T(1e-12));
        }
    }

    std::int64_t offset() const { return m_index / z.heads * z.length * z.stride() + m_index % z.heads * z.width; }

    void forward(T* out, T* lse) {
        for (std::int64_t t = 0; t < z.length; ++t) Row<T>(out + t * z.stride(), z.width).setZero();
        std::fill_n(m.greatest, z.length, kNone);
        std::fill_n(m.sum, z.length, T(0));
        eachWindow([&](const Window& w) {
            scores(w);
            for (std::int64_t i = 0; i < w.rows; ++i) {
                const std::int64_t query = w.own[i];
                Row<T> p(m.s + i * 2 * z.chunk, 2 * z.chunk);
                const T top = std::max(m.greatest[query], p.maxCoeff());
                if (top == kNone) {
                    p.setZero();
                    continue;
                }
                const T shrink = std::exp(m.greatest[query] - top);
                exponentiate(p, top);
                m.sum[query] = m.sum[query] * shrink + p.sum();
                m.greatest[query] = top;
                Row<T>(out + query * z.stride(), z.width) *= shrink;
            }
            multiplyBlock(z.chunk, z.width, 2 * z.chunk, m.s, false, m.v, false, m.o);
            for (std::int64_t i = 0; i < w.rows; ++i)
                Row<T>(out + w.own[i] * z.stride(), z.width) += Row<T>(m.o + i * z.width, z.width);
        });
        for (std::int64_t t = 0; t < z.length; ++t) {
            Row<T> o(out + t * z.stride(), z.width);
            if (m.sum[t] > T(0))
                o *= T(1) / m.sum[t];
            else if (isKept(t))
                o = ConstRow<T>(m_v + t * z.stride(), z.width);
            lse[t] = m.sum[t] > T(0) ? m.greatest[t] + std::log(m.sum[t]) : kNone;
        }
    }

    /// Adds to dq and dv.
    void backward(const T* o, const T* lse, const T* dO, T* dq, T* dv) {
        const std::int64_t stride = z.stride(), c = z.chunk;
        for (std::int64_t t = 0; t < z.length; ++t) {
            m.delta[t] = (ConstRow<T>(o + t * stride, z.width) * ConstRow<T>(dO + t * stride, z.width)).sum();
            if (lse[t] == kNone && isKept(t))  // alone: o = v
                Row<T>(dv + t * stride, z.width) += ConstRow<T>(dO + t * stride, z.width);
        }
        std::fill_n(m.dKey, z.length * z.width, T(0));
        eachWindow([&](const Window& w) {
            scores(w);
            gatherRows(w, dO, m.dO);
            multiplyBlock(c, 2 * c, z.width, m.dO, false, m.v, true, m.ds);
            for (std::int64_t i = 0; i < c; ++i) {
                Row<T> p(m.s + i * 2 * c, 2 * c), d(m.ds + i * 2 * c, 2 * c);
                if (i >= w.rows || lse[w.own[i]] == kNone) {
                    p.setZero();
                    d.setZero();
                    continue;
                }
                exponentiate(p, lse[w.own[i]]);
                d = p * (d - m.delta[w.own[i]]) * m_scale;
            }
            multiplyBlock(2 * c, z.width, c, m.s, true, m.dO, false, m.dk);
            scatterColumns(w, m.dk, dv, stride);
            multiplyBlock(2 * c, z.width, c, m.ds, true, m.q, false, m.dk);
            scatterColumns(w, m.dk, m.dKey, z.width);
            multiplyBlock(c, z.width, 2 * c, m.ds, false, m.k, false, m.o);
            for (std::int64_t i = 0; i < w.rows; ++i)
                Row<T>(dq + w.own[i] * stride, z.width) += Row<T>(m.o + i * z.width, z.width);
        });
        for (std::int64_t t = 0; t < z.length; ++t) {  // through the keys q/‖q‖
            if (!isKept(t)) continue;
            const T inverse = m.inverseNorm[t];
            const ConstRow<T> q(m_q + t * stride, z.width);
            const Row<T> d(m.dKey + t * z.width, z.width);
            const T along = inverse < T(1e12) ? (q * d).sum() * inverse * inverse : T(0);
            Row<T>(dq + t * stride, z.width) += inverse * (d - along * q);
        }
    }

private:
    static constexpr T kNone = -std::numeric_limits<T>::infinity();

    bool isKept(std::int64_t t) const { return m_chunks.chunkOf(m_index, 0)[t] >= 0; }

    template <typename Function>
    void eachWindow(Function&& function) {
        for (std::int64_t round = 0; round < m_chunks.rounds; ++round)
            forWindows(m_chunks, m_index, round, m_kept, [&](const Window& w) {
                for (std::int64_t column = 0; column < 2 * z.chunk; ++column) {
                    const std::int64_t token = w.keyAt(column, z.chunk);
                    m.keys[column] = static_cast<std::int32_t>(token);
                    for (std::int64_t r = 0; r < z.rounds && countsOnce(); ++r)
                        m.keyChunks[r * 2 * z.chunk + column] = token < 0 ? -9 : m_chunks.chunkOf(m_index, r)[token];
                    Row<T> k(m.k + column * z.width, z.width), v(m.v + column * z.width, z.width);
                    if (token < 0) {
                        k.setZero();
                        v.setZero();
                    } else {
                        k = ConstRow<T>(m_q + token * z.stride(), z.width) * m.inverseNorm[token];
                        v = ConstRow<T>(m_v + token * z.stride(), z.width);
                    }
                }
                gatherRows(w, m_q, m.q);
                function(w);
            });
    }

    /// Rows of the window's own tokens, filled up with zeros: every product has one size.
    void gatherRows(const Window& w, const T* from, T* to) {
        for (std::int64_t i = 0; i < z.chunk; ++i) {
            Row<T> row(to + i * z.width, z.width);
            if (i < w.rows)
                row = ConstRow<T>(from + w.own[i] * z.stride(), z.width);
            else
                row.setZero();
        }
    }

    void scatterColumns(const Window& w, const T* from, T* to, std::int64_t stride) {
        for (std::int64_t column = 0; column < 2 * z.chunk; ++column)
            if (const std::int64_t token = w.keyAt(column, z.chunk); token >= 0)
                Row<T>(to + token * stride, z.width) += ConstRow<T>(from + column * z.width, z.width);
    }

    void multiplyBlock(std::int64_t rows, std::int64_t columns, std::int64_t inner, const T* a, bool transposeA,
                       const T* b, bool transposeB, T* c) const {
        multiply({.m = rows,
                  .n = columns,
                  .k = inner,
                  .transposeA = transposeA,
                  .transposeB = transposeB,
                  .lda = transposeA ? rows : inner,
                  .ldb = transposeB ? inner : columns,
                  .ldc = columns,
                  .precision = m_precision},
                 a, b, c);
    }

    /// In how many rounds `query` meets each key of the window.
    void countMeetings(std::int64_t query) {
        const std::int64_t columns = 2 * z.chunk;
        std::fill_n(m.met, columns, 0);
        for (std::int64_t r = 0; r < z.rounds; ++r) {
            const std::int32_t own = m_chunks.chunkOf(m_index, r)[query];
            const std::int32_t* others = m.keyChunks + r * columns;
            for (std::int64_t j = 0; j < columns; ++j) m.met[j] += own - others[j] == 0 || own - others[j] == 1;
        }
    }

    /// s [c,2c] = scores − the logarithm of how often a key is met, −∞ where a query does not see the key.
    void scores(const Window& w) {
        const std::int64_t c = z.chunk, columns = 2 * c;
        multiplyBlock(c, columns, z.width, m.q, false, m.k, true, m.s);
        const T slope = m_options.slopes.empty()
                            ? T(0)
                            : static_cast<T>(m_options.slopes[static_cast<std::size_t>(m_index % z.heads)]);
        for (std::int64_t i = 0; i < c; ++i) {
            T* s = m.s + i * columns;
            if (i >= w.rows) {
                std::fill_n(s, columns, kNone);
                continue;
            }
            const std::int32_t query = w.own[i];
            if (countsOnce()) countMeetings(query);
            for (std::int64_t j = 0; j < columns; ++j) {
                const std::int32_t key = m.keys[j];
                const bool seen = key >= 0 && key != query && !(m_chunks.causal && key > query);
                const T distance = static_cast<T>(std::abs(key - query));
                s[j] = seen ? s[j] * m_scale - slope * distance : kNone;
            }
            if (countsOnce())
                for (std::int64_t j = 0; j < columns; ++j) s[j] -= m.logs[m.met[j]];
        }
    }

    /// exp(s − shift) of one row of scores, exactly 0 where a key is not seen (a vectorised e^−∞ is only tiny).
    void exponentiate(Row<T> s, T shift) {
        Row<T> e(m.exponentials, 2 * z.chunk);
        e = (s - shift).exp();
        for (std::int64_t j = 0; j < 2 * z.chunk; ++j) s[j] = s[j] == kNone ? T(0) : e[j];
    }

    bool countsOnce() const { return m_options.countOnce && z.rounds > 1; }

    Sizes z;
    std::int64_t m_index;  // b·H + h
    const LshChunks& m_chunks;
    const ChunkAttendOptions& m_options;
    Precision m_precision;
    Scratch<T> m;
    std::int64_t m_kept;
    T m_scale;
    const T *m_q, *m_v;
};

/// Calls function(head index, scratch of this thread) for every head of every sample.
template <typename T, typename Function>
void forHeads(const Sizes& z, Arena& arena, Function&& function) {
    const std::int64_t count = z.headCount(), threads = std::min<std::int64_t>(threadCount(), count),
                       each = Scratch<T>::elements(z);
    T* scratch = arena.tensor({threads, each}, dtypeOf<T>).template as<T>();
    const std::int64_t eachInteger = Scratch<T>::integers(z);
    std::int32_t* integers = arena.tensor({threads, eachInteger}, DType::I32).template as<std::int32_t>();
    parallelFor(threads, 1, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t part = first; part < last; ++part)
            for (std::int64_t i = count * part / threads; i < count * (part + 1) / threads; ++i)
                function(i, scratch + part * each, integers + part * eachInteger);
    });
}

}  // namespace

Variable chunkAttend(const Variable& qk, const Variable& v, const LshChunks& chunks,
                     const ChunkAttendOptions& options) {
    if (qk.value().onDevice()) return cuda::chunkAttend(qk, v, chunks, options);
    const Shape& shape = qk.shape();
    const Sizes z{shape[0], shape[1], shape[2], shape[3], options.chunk, chunks.rounds};
    Tape& tape = qk.tape();
    const Variable o = tape.result(shape, qk.type(), qk, v);
    const Tensor lse = tape.arena().tensor({z.batch, z.heads, z.length}, qk.type());
    dispatchReal(qk.type(), [&](auto zero) {
        using T = decltype(zero);
        forHeads<T>(z, tape.arena(), [&](std::int64_t i, T* scratch, std::int32_t* integers) {
            Head<T> head(z, i, qk.value().as<T>(), v.value().as<T>(), chunks, options, tape.precision(), scratch,
                         integers);
            head.forward(o.value().as<T>() + head.offset(), lse.as<T>() + i * z.length);
        });
    });
    tape.record(o, [=] {
        dispatchReal(qk.type(), [&](auto zero) {
            using T = decltype(zero);
            Arena& arena = o.tape().arena();
            // A gradient nobody asks for goes to scratch memory.
            const auto sinkOf = [&](const Variable& x) {
                const Variable::Sink sink =
                    x.needsGradient() ? x.gradientSink() : Variable::Sink{arena.tensor(x.shape(), x.type()), false};
                if (!sink.accumulate) std::fill_n(sink.tensor.as<T>(), sink.tensor.elements(), T(0));
                return sink.tensor.as<T>();
            };
            T *dq = sinkOf(qk), *dv = sinkOf(v);
            forHeads<T>(z, arena, [&](std::int64_t i, T* scratch, std::int32_t* integers) {
                Head<T> head(z, i, qk.value().template as<T>(), v.value().template as<T>(), chunks, options,
                             o.tape().precision(), scratch, integers);
                const std::int64_t at = head.offset();
                head.backward(o.value().template as<T>() + at, lse.as<T>() + i * z.length,
                              o.gradient().template as<T>() + at, dq + at, dv + at);
            });
        });
    });
    return o;
}

}  // namespace linscope
