#include "core/attention/retention/retention_scan.h"

#include <cmath>
#include <type_traits>

#include "core/attention/decay_scan.h"
#include "core/attention/decoding.h"
#include "core/attention/head_scan.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"

namespace linscope {
namespace {

constexpr std::int64_t kChunk = 64;

/// One head of one sample: rows of q, k, v and of their gradients are `stride` apart.
template <typename T>
struct Head {
    std::int64_t length, width, stride;
    const T *q, *k, *v;  // [T,D]
    T* powers;           // [kChunk + 1] γ⁰ …
    T* square;           // [kChunk,kChunk] scratch
    T* rows;             // [kChunk,D] scratch
    T* state;            // [D,D]
    double scale;
    bool goesOn = false;  // S before the first token is in `state`

    Head(std::int64_t length_, std::int64_t width_, std::int64_t stride_, double gamma, T* scratch)
        : length(length_), width(width_), stride(stride_), scale(1.0 / std::sqrt(static_cast<double>(width_))) {
        powers = scratch;
        square = powers + kChunk + 1;
        rows = square + kChunk * kChunk;
        state = rows + kChunk * width;
        // Each by its own: a product of 64 roundings would be 64 times as far off.
        for (std::int64_t i = 0; i <= kChunk; ++i) powers[i] = static_cast<T>(std::pow(gamma, static_cast<double>(i)));
    }
    static std::int64_t scratchSize(std::int64_t width) {
        return kChunk + 1 + kChunk * kChunk + kChunk * width + width * width;
    }

    bool hasPast(std::int64_t begin) const { return begin > 0 || goesOn; }
    Factor<T> of(const T* x, std::int64_t begin) const { return {x + begin * stride, stride}; }
    Factor<T> squareFactor() const { return {square, kChunk}; }
    Factor<T> rowsFactor() const { return {rows, width}; }
    Factor<T> stateFactor() const { return {state, width}; }

    /// square = scale·a·bᵀ, times γ^(i−j) on and below the diagonal, 0 above it.
    void decayed(const Factor<T>& a, const Factor<T>& b, std::int64_t n) const {
        product(n, n, width, a, ~b, {square, kChunk}, scale);
        for (std::int64_t i = 0; i < n; ++i) {
            T* line = square + i * kChunk;
            for (std::int64_t j = 0; j <= i; ++j) line[j] *= powers[i - j];
            std::fill(line + i + 1, line + n, T(0));  // set, not multiplied: a score may be infinite
        }
    }
    /// rows = x, row i times γ^(i+1): from the state before the chunk to its token i.
    void fromStart(const Factor<T>& x, std::int64_t n) const {
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t c = 0; c < width; ++c) rows[i * width + c] = powers[i + 1] * x.data[i * stride + c];
    }
    /// rows = x, row j times γ^(n−1−j): from token j to the state after the chunk.
    void toEnd(const Factor<T>& x, std::int64_t n) const {
        for (std::int64_t j = 0; j < n; ++j)
            for (std::int64_t c = 0; c < width; ++c) rows[j * width + c] = powers[n - 1 - j] * x.data[j * stride + c];
    }
    /// S = γⁿ·S + Σ γ^(n−1−j)·k_j·v_jᵀ
    void advance(std::int64_t begin, std::int64_t n) const {
        toEnd(of(k, begin), n);
        product(width, width, n, ~rowsFactor(), of(v, begin),
                {state, width, hasPast(begin) ? static_cast<double>(powers[n]) : 0.0});
    }
};

template <typename T>
void forward(const Head<T>& head, T* o) {
    const std::int64_t d = head.width;
    for (std::int64_t begin = 0; begin < head.length; begin += kChunk) {
        const std::int64_t n = std::min(kChunk, head.length - begin);
        T* out = o + begin * head.stride;
        head.decayed(head.of(head.q, begin), head.of(head.k, begin), n);
        product(n, d, n, head.squareFactor(), head.of(head.v, begin), {out, head.stride});
        if (head.hasPast(begin)) {
            head.fromStart(head.of(head.q, begin), n);
            product(n, d, d, head.rowsFactor(), head.stateFactor(), {out, head.stride, 1.0}, head.scale);
        }
        head.advance(begin, n);
    }
}

/// dq_i = scale·S_i·g_i with S as in the forward pass.
template <typename T>
void queryGradient(const Head<T>& head, const T* g, T* dq, double keep) {
    const std::int64_t d = head.width;
    for (std::int64_t begin = 0; begin < head.length; begin += kChunk) {
        const std::int64_t n = std::min(kChunk, head.length - begin);
        T* out = dq + begin * head.stride;
        head.decayed(head.of(g, begin), head.of(head.v, begin), n);
        product(n, d, n, head.squareFactor(), head.of(head.k, begin), {out, head.stride, keep});
        if (begin > 0) {
            head.fromStart(head.of(g, begin), n);
            product(n, d, d, head.rowsFactor(), ~head.stateFactor(), {out, head.stride, 1.0}, head.scale);
        }
        head.advance(begin, n);
    }
}

/// With R = dL/dS after the chunk, R ← γⁿ·R + scale·Σ γ^(i+1)·q_i·g_iᵀ from the last chunk to the first:
/// dk_j = R_j·v_j, dv_j = R_jᵀ·k_j.
template <typename T>
void keyGradients(const Head<T>& head, const T* g, T* dk, double keepK, T* dv, double keepV) {
    const std::int64_t d = head.width, stride = head.stride, chunks = (head.length + kChunk - 1) / kChunk;
    for (std::int64_t chunk = chunks - 1; chunk >= 0; --chunk) {
        const std::int64_t begin = chunk * kChunk, n = std::min(kChunk, head.length - begin);
        const bool last = chunk == chunks - 1;
        T *outK = dk + begin * stride, *outV = dv + begin * stride;
        head.decayed(head.of(head.q, begin), head.of(head.k, begin), n);
        product(n, d, n, ~head.squareFactor(), head.of(g, begin), {outV, stride, keepV});
        head.decayed(head.of(g, begin), head.of(head.v, begin), n);
        product(n, d, n, ~head.squareFactor(), head.of(head.q, begin), {outK, stride, keepK});
        if (!last) {
            head.toEnd(head.of(head.v, begin), n);
            product(n, d, d, head.rowsFactor(), ~head.stateFactor(), {outK, stride, 1.0});
            head.toEnd(head.of(head.k, begin), n);
            product(n, d, d, head.rowsFactor(), head.stateFactor(), {outV, stride, 1.0});
        }
        head.fromStart(head.of(head.q, begin), n);
        // The chunk before is a whole one, but this one may be shorter: γⁿ of this one.
        product(d, d, n, ~head.rowsFactor(), head.of(g, begin),
                {head.state, d, last ? 0.0 : static_cast<double>(head.powers[n])}, head.scale);
    }
}

}  // namespace

Variable retentionScan(const Variable& q, const Variable& k, const Variable& v, std::span<const double> gammas,
                       std::span<float> carried) {
    const Shape& shape = q.shape();
    require(shape.rank() == 4 && k.shape() == shape && v.shape() == shape &&
                static_cast<std::int64_t>(gammas.size()) == shape[2],
            "retention", "q, k, v [B,T,H,D] and a decay for each head, but got {}, {}, {} and {} decays", shape.text(),
            k.shape().text(), v.shape().text(), gammas.size());
    if (!carried.empty()) checkCarried(q, carried, shape[2] * shape[3] * shape[3]);
    if (q.value().onDevice())
        return cuda::decayScan(q, k, v, {.scale = 1.0 / std::sqrt(static_cast<double>(shape[3])), .gammas = gammas});
    const std::int64_t length = shape[1], heads = shape[2], width = shape[3], count = shape[0] * heads;
    const double* gamma = gammas.data();
    Tape& tape = q.tape();
    const Variable o = tape.result(shape, q.type(), q, k, v);
    const auto forHeads = [=, arena = &tape.arena()]<typename T>(T, auto&& function) {
        forEachHead<T>(count, *arena, Head<T>::scratchSize(width), [&](std::int64_t i, T* scratch) {
            const std::int64_t offset = i / heads * length * heads * width + i % heads * width;
            Head<T> head(length, width, heads * width, gamma[i % heads], scratch);
            head.q = q.value().as<T>() + offset;
            head.k = k.value().as<T>() + offset;
            head.v = v.value().as<T>() + offset;
            if constexpr (std::is_same_v<T, float>)
                if (!carried.empty()) {
                    head.state = carried.data() + i * width * width;
                    head.goesOn = true;
                }
            function(head, offset);
        });
    };
    dispatchReal(q.type(), [&](auto zero) {
        using T = decltype(zero);
        forHeads(zero, [&](const Head<T>& head, std::int64_t offset) { forward(head, o.value().as<T>() + offset); });
    });
    tape.record(o, [=] {
        dispatchReal(q.type(), [&](auto zero) {
            using T = decltype(zero);
            Arena& arena = q.tape().arena();
            // A gradient nobody asks for goes to scratch memory: rare, and the loop stays one.
            const auto sinkOf = [&](const Variable& x) {
                return x.needsGradient() ? x.gradientSink() : Variable::Sink{arena.tensor(x.shape(), x.type()), false};
            };
            const Variable::Sink dq = sinkOf(q), dk = sinkOf(k), dv = sinkOf(v);
            forHeads(zero, [&](const Head<T>& head, std::int64_t offset) {
                const T* g = o.gradient().as<T>() + offset;
                queryGradient(head, g, dq.tensor.as<T>() + offset, dq.accumulate ? 1.0 : 0.0);
                keyGradients(head, g, dk.tensor.as<T>() + offset, dk.accumulate ? 1.0 : 0.0, dv.tensor.as<T>() + offset,
                             dv.accumulate ? 1.0 : 0.0);
            });
        });
    });
    return o;
}

}  // namespace linscope
