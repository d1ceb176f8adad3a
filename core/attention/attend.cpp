#include "core/attention/attend.h"

#include "core/attention/attend_blocks.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"

namespace linscope {
namespace {

struct Sizes {
    std::int64_t batch, queries, keys, heads, width;
};

template <typename T>
blocks::Head<T> headOf(const Sizes& s, std::int64_t index, const Variable& q, const Variable& k, const Variable& v,
                       const AttendOptions& options) {
    const std::int64_t b = index / s.heads, h = index % s.heads, stride = s.heads * s.width;
    const std::int64_t queryOffset = b * s.queries * stride + h * s.width,
                       keyOffset = b * s.keys * stride + h * s.width;
    blocks::Head<T> head{q.value().as<T>() + queryOffset,
                         k.value().as<T>() + keyOffset,
                         v.value().as<T>() + keyOffset,
                         options.keep.empty() ? nullptr : options.keep.data() + b * s.keys,
                         s.queries,
                         s.keys,
                         s.width,
                         stride,
                         T(1) / std::sqrt(T(s.width)),
                         options.causal,
                         options.window,
                         options.slopes.empty() ? T(0) : static_cast<T>(options.slopes[static_cast<std::size_t>(h)]),
                         options.bias ? options.bias.value().as<T>() + h * kRelativeBuckets : nullptr};
    head.precision = q.tape().precision();
    head.past = options.past;
    return head;
}

// So many items at least are shared out to threads, where there are as many blocks.
constexpr std::int64_t kItems = 16;

/// Calls function(item, block of this thread) for every item.
template <typename T, typename Function>
void forItems(std::int64_t count, std::int64_t width, Arena& arena, Function&& function) {
    const std::int64_t size = blocks::Block<T>::size(width);
    T* scratch = arena.tensor({std::min<std::int64_t>(threadCount(), count), size}, dtypeOf<T>).template as<T>();
    parallelItems(count, [&](std::int64_t item, std::int64_t thread) {
        blocks::Block<T> block(scratch + thread * size, width);
        function(item, block);
    });
}

// Padded values are replaced by zeros: their weight is 0, but 0·NaN is not.
Variable cleanCopy(const Variable& v, std::span<const float> keep, const Sizes& s) {
    if (keep.empty()) return v;
    const Tensor clean = v.tape().arena().tensor(v.shape(), v.type());
    dispatchReal(v.type(), [&](auto zero) {
        using T = decltype(zero);
        const std::int64_t row = s.heads * s.width;
        for (std::int64_t i = 0; i < s.batch * s.keys; ++i)
            for (std::int64_t j = 0; j < row; ++j)
                clean.as<T>()[i * row + j] = keep[i] == 0.0f ? T(0) : v.value().as<T>()[i * row + j];
    });
    return v.tape().constant(clean);
}

template <typename T>
void forward(const Sizes& s, const Variable& q, const Variable& k, const Variable& v, const AttendOptions& options,
             const Tensor& o, const Tensor& lse) {
    const std::int64_t ofHead = (s.queries + blocks::kQueries - 1) / blocks::kQueries;
    forItems<T>(s.batch * s.heads * ofHead, s.width, q.tape().arena(), [&](std::int64_t item, blocks::Block<T>& block) {
        const std::int64_t i = item / ofHead;
        const auto head = headOf<T>(s, i, q, k, v, options);
        blocks::forward<T>(std::span(&head, 1), item % ofHead * blocks::kQueries,
                           o.as<T>() + (head.q - q.value().as<T>()), lse.as<T>() + i * s.queries, block);
    });
}

/// to (+)= Σ of the parts, in order.
template <typename T>
void addParts(const Tensor& to, std::span<const Tensor> parts) {
    parallelFor(to.elements(), 1 << 12, [&](std::int64_t first, std::int64_t last) {
        for (const Tensor& part : parts)
            for (std::int64_t i = first; i < last; ++i) to.as<T>()[i] += part.as<T>()[i];
    });
}

template <typename T>
void backward(const Sizes& s, const Variable& q, const Variable& k, const Variable& v, const Variable& cleanK,
              const Variable& cleanV, const AttendOptions& options, const Variable& o, const Tensor& lse) {
    Arena& arena = q.tape().arena();
    // A gradient nobody asks for goes to scratch memory: rare, and the loop stays one.
    const auto sinkOf = [&](const Variable& x) {
        return x.needsGradient() ? x.gradientSink() : Variable::Sink{arena.tensor(x.shape(), x.type()), false};
    };
    const Variable::Sink dq = sinkOf(q), dk = sinkOf(k), dv = sinkOf(v);
    // The keys of a head are shared out where there are few heads. The first part writes dq, each of the others a share
    // of its own, added in order: how many there are depends on the sizes alone.
    const std::int64_t keyBlocks = (s.keys + blocks::kKeys - 1) / blocks::kKeys, heads = s.batch * s.heads;
    const std::int64_t parts = std::clamp<std::int64_t>(kItems / heads, 1, keyBlocks);
    Tensor shares[kItems];
    for (std::int64_t part = 1; part < parts; ++part) shares[part] = arena.tensor(q.shape(), q.type());
    // Samples share their heads' biases: each part has a row of its own, summed in order at the end.
    const bool biased = options.bias && options.bias.needsGradient();
    const Tensor biases = biased ? arena.zeros({heads, parts, kRelativeBuckets}, q.type()) : Tensor{};
    forItems<T>(heads * parts, s.width, arena, [&](std::int64_t item, blocks::Block<T>& block) {
        const std::int64_t i = item / parts, part = item % parts;
        auto head = headOf<T>(s, i, q, cleanK, cleanV, options);
        if (biased) head.biasGradient = biases.as<T>() + item * kRelativeBuckets;
        const std::int64_t atQ = head.q - q.value().as<T>(), atK = head.k - cleanK.value().as<T>();
        const Tensor& toQ = part == 0 ? dq.tensor : shares[part];
        blocks::backward<T>(head, keyBlocks * part / parts * blocks::kKeys,
                            std::min(s.keys, keyBlocks * (part + 1) / parts * blocks::kKeys), o.value().as<T>() + atQ,
                            lse.as<T>() + i * s.queries, o.gradient().as<T>() + atQ,
                            {toQ.as<T>() + atQ, dk.tensor.as<T>() + atK, dv.tensor.as<T>() + atK,
                             part == 0 && dq.accumulate, dk.accumulate, dv.accumulate},
                            block);
    });
    addParts<T>(dq.tensor, std::span(shares).subspan(1, static_cast<std::size_t>(parts - 1)));
    if (!biased) return;
    const Variable::Sink sink = options.bias.gradientSink();
    const std::int64_t count = s.heads * kRelativeBuckets;
    for (std::int64_t i = 0; i < count; ++i) {
        T sum = sink.accumulate ? sink.tensor.as<T>()[i] : T(0);
        for (std::int64_t b = 0; b < s.batch; ++b)
            for (std::int64_t part = 0; part < parts; ++part)
                sum += biases.as<T>()[((b * s.heads + i / kRelativeBuckets) * parts + part) * kRelativeBuckets +
                                      i % kRelativeBuckets];
        sink.tensor.as<T>()[i] = sum;
    }
}

}  // namespace

Variable attend(const Variable& q, const Variable& k, const Variable& v, const AttendOptions& options) {
    require(q.shape().rank() == 4 && k.shape().rank() == 4 && k.shape() == v.shape() && q.shape()[0] == k.shape()[0] &&
                q.shape()[2] == k.shape()[2] && q.shape()[3] == k.shape()[3],
            "attend", "q [B,T,H,D], k and v [B,S,H,D], but got {}, {}, {}", q.shape().text(), k.shape().text(),
            v.shape().text());
    const Sizes s{q.shape()[0], q.shape()[1], k.shape()[1], q.shape()[2], q.shape()[3]};
    const std::span<const float> keep = options.keep;
    require(keep.empty() || static_cast<std::int64_t>(keep.size()) == s.batch * s.keys, "attend",
            "a mask [B,S] of {} values, but got {}", s.batch * s.keys, keep.size());
    require(!options.bias || options.bias.shape() == Shape{s.heads, kRelativeBuckets}, "attend",
            "a bias [H,{}] with H = {}, but got {}", kRelativeBuckets, s.heads,
            options.bias ? options.bias.shape().text() : "");
    require(options.past == 0 || (options.causal && !q.value().onDevice() && options.past + s.queries == s.keys),
            "attend", "{} + {} keys for causal queries on the processor that {} tokens come before, but got {}",
            options.past, s.queries, options.past, s.keys);
    if (q.value().onDevice()) return cuda::attend(q, k, v, options);
    Tape& tape = q.tape();
    const Variable o = options.bias ? tape.result(q.shape(), q.type(), q, k, v, options.bias)
                                    : tape.result(q.shape(), q.type(), q, k, v);
    const Tensor lse = tape.arena().tensor({s.batch, s.heads, s.queries}, q.type());
    const Variable cleanK = cleanCopy(k, keep, s), cleanV = cleanCopy(v, keep, s);
    dispatchReal(q.type(), [&](auto zero) { forward<decltype(zero)>(s, q, cleanK, cleanV, options, o.value(), lse); });
    tape.record(o, [=] {
        dispatchReal(q.type(),
                     [&](auto zero) { backward<decltype(zero)>(s, q, k, v, cleanK, cleanV, options, o, lse); });
    });
    return o;
}

}  // namespace linscope
