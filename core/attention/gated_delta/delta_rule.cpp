#include "core/attention/gated_delta/delta_rule.h"

#include <algorithm>
#include <type_traits>

#include "core/attention/decoding.h"
#include "core/attention/gated_delta/delta_chunk.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"

namespace linscope {
namespace {

struct Sizes {
    std::int64_t length, heads, width, chunk, count, chunks;  // count = B·H
    std::int64_t rowsAt(std::int64_t i) const { return (i / heads * length * heads + i % heads) * width; }
    std::int64_t gatesAt(std::int64_t i) const { return i / heads * length * heads + i % heads; }
};

struct Inputs {
    Variable q, k, v, beta, logAlpha;
};

template <typename T>
delta::Head<T> headOf(const Sizes& s, const Inputs& in, std::int64_t i) {
    return {.length = s.length,
            .width = s.width,
            .stride = s.heads * s.width,
            .heads = s.heads,
            .chunk = s.chunk,
            .q = in.q.value().as<T>() + s.rowsAt(i),
            .k = in.k.value().as<T>() + s.rowsAt(i),
            .v = in.v.value().as<T>() + s.rowsAt(i),
            .beta = in.beta.value().as<T>() + s.gatesAt(i),
            .logAlpha = in.logAlpha ? in.logAlpha.value().as<T>() + s.gatesAt(i) : nullptr};
}

template <typename T>
void forward(const Sizes& s, const Inputs& in, const Tensor& u, const Tensor& states, const Tensor& o,
             std::span<T> carried) {
    const std::int64_t area = s.width * s.width;
    forEachHead<T>(
        s.count, in.q.tape().arena(), delta::Workspace<T>::size(s.chunk, s.width), [&](std::int64_t i, T* memory) {
            const delta::Head<T> head = headOf<T>(s, in, i);
            const delta::Workspace<T> space(s.chunk, s.width, memory);
            std::fill_n(space.state, area, T(0));
            if (!carried.empty()) std::copy_n(carried.data() + i * area, area, space.state);
            for (std::int64_t c = 0; c < s.chunks; ++c) {
                std::copy_n(space.state, area, states.as<T>() + (i * s.chunks + c) * area);
                delta::Chunk<T>(head, space, c * s.chunk).forward(u.as<T>() + s.rowsAt(i), o.as<T>() + s.rowsAt(i));
            }
            if (!carried.empty()) std::copy_n(space.state, area, carried.data() + i * area);
        });
}

template <typename T>
void backward(const Sizes& s, const Inputs& in, const Tensor& u, const Tensor& states, const Tensor& g) {
    Arena& arena = in.q.tape().arena();
    // A gradient nobody asks for goes to scratch memory: rare, and the loop stays one.
    const auto sinkOf = [&](const Variable& x) {
        return x.needsGradient() ? x.gradientSink() : Variable::Sink{arena.tensor(x.shape(), x.type()), false};
    };
    const Variable::Sink dq = sinkOf(in.q), dk = sinkOf(in.k), dv = sinkOf(in.v), dBeta = sinkOf(in.beta);
    const Variable::Sink dLogAlpha = in.logAlpha ? sinkOf(in.logAlpha) : Variable::Sink{};
    const std::int64_t area = s.width * s.width;
    forEachHead<T>(s.count, arena, delta::Workspace<T>::size(s.chunk, s.width), [&](std::int64_t i, T* memory) {
        const delta::Head<T> head = headOf<T>(s, in, i);
        const delta::Workspace<T> space(s.chunk, s.width, memory);
        const auto place = [](const Variable::Sink& sink, std::int64_t at) {
            return typename delta::Gradients<T>::Place{sink.tensor.as<T>() + at, sink.accumulate ? 1.0 : 0.0};
        };
        delta::Gradients<T> out{
            place(dq, s.rowsAt(i)), place(dk, s.rowsAt(i)), place(dv, s.rowsAt(i)), place(dBeta, s.gatesAt(i)), {}};
        if (in.logAlpha) out.logAlpha = place(dLogAlpha, s.gatesAt(i));
        std::fill_n(space.state, area, T(0));
        for (std::int64_t c = s.chunks - 1; c >= 0; --c)
            delta::Chunk<T>(head, space, c * s.chunk)
                .backward(states.as<T>() + (i * s.chunks + c) * area, u.as<T>() + s.rowsAt(i), g.as<T>() + s.rowsAt(i),
                          out);
    });
}

}  // namespace

Variable deltaRule(const Variable& q, const Variable& k, const Variable& v, const Variable& beta,
                   const Variable& logAlpha, std::int64_t chunk, std::span<float> carried) {
    const Shape& shape = q.shape();
    require(shape.rank() == 4 && k.shape() == shape && v.shape() == shape, "delta rule",
            "q, k, v [B,T,H,D], but got {}, {}, {}", shape.text(), k.shape().text(), v.shape().text());
    const Shape gates{shape[0], shape[1], shape[2]};
    require(beta.shape() == gates && (!logAlpha || logAlpha.shape() == gates), "delta rule",
            "gates {}, but got beta {} and log alpha {}", gates.text(), beta.shape().text(),
            logAlpha ? logAlpha.shape().text() : "absent");
    require(chunk >= 1, "delta rule", "a chunk of at least 1 token, but got {}", chunk);
    if (!carried.empty()) checkCarried(q, carried, shape[2] * shape[3] * shape[3]);
    if (q.value().onDevice()) return cuda::deltaRule(q, k, v, beta, logAlpha);
    const std::int64_t used = std::min(chunk, shape[1]);
    const Sizes s{shape[1], shape[2], shape[3], used, shape[0] * shape[2], (shape[1] + used - 1) / used};
    const Inputs in{q, k, v, beta, logAlpha};
    Tape& tape = q.tape();
    const Variable o =
        logAlpha ? tape.result(shape, q.type(), q, k, v, beta, logAlpha) : tape.result(shape, q.type(), q, k, v, beta);
    const Tensor u = tape.arena().tensor(shape, q.type());
    const Tensor states = tape.arena().tensor({s.count, s.chunks, s.width, s.width}, q.type());
    dispatchReal(q.type(), [&](auto zero) {
        using T = decltype(zero);
        std::span<T> past;
        if constexpr (std::is_same_v<T, float>) past = carried;
        forward<T>(s, in, u, states, o.value(), past);
    });
    tape.record(o, [=] {
        dispatchReal(q.type(), [&](auto zero) { backward<decltype(zero)>(s, in, u, states, o.gradient()); });
    });
    return o;
}

}  // namespace linscope
