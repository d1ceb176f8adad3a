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
    return head;
}

/// Calls function(head index, scratch of this thread) for every head of every sample.
template <typename T, typename Function>
void forHeads(const Sizes& s, Arena& arena, std::int64_t scratchPerThread, Function&& function) {
    const std::int64_t count = s.batch * s.heads, threads = std::min<std::int64_t>(threadCount(), count);
    T* scratch = arena.tensor({threads, scratchPerThread}, dtypeOf<T>).template as<T>();
    // Ranges of parallelFor are as many as threads, so that a range can be told by its first head.
    parallelFor(threads, 1, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t part = first; part < last; ++part)
            for (std::int64_t i = count * part / threads; i < count * (part + 1) / threads; ++i)
                function(i, scratch + part * scratchPerThread);
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
    forHeads<T>(s, q.tape().arena(), blocks::Block<T>::size(s.width), [&](std::int64_t i, T* scratch) {
        const auto head = headOf<T>(s, i, q, k, v, options);
        blocks::Block<T> block(scratch, s.width);
        blocks::forward(head, o.as<T>() + (head.q - q.value().as<T>()), lse.as<T>() + i * s.queries, block);
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
    // Samples share their heads' biases: each head of each sample has a row of its own, summed in order at the end.
    const bool biased = options.bias && options.bias.needsGradient();
    const Tensor biases = biased ? arena.zeros({s.batch, s.heads, kRelativeBuckets}, q.type()) : Tensor{};
    forHeads<T>(s, arena, blocks::Block<T>::size(s.width), [&](std::int64_t i, T* scratch) {
        auto head = headOf<T>(s, i, q, cleanK, cleanV, options);
        if (biased) head.biasGradient = biases.as<T>() + i * kRelativeBuckets;
        const std::int64_t atQ = head.q - q.value().as<T>(), atK = head.k - cleanK.value().as<T>();
        blocks::Block<T> block(scratch, s.width);
        blocks::backward<T>(head, o.value().as<T>() + atQ, lse.as<T>() + i * s.queries, o.gradient().as<T>() + atQ,
                            {dq.tensor.as<T>() + atQ, dk.tensor.as<T>() + atK, dv.tensor.as<T>() + atK, dq.accumulate,
                             dk.accumulate, dv.accumulate},
                            block);
    });
    if (!biased) return;
    const Variable::Sink sink = options.bias.gradientSink();
    const std::int64_t count = s.heads * kRelativeBuckets;
    for (std::int64_t i = 0; i < count; ++i) {
        T sum = sink.accumulate ? sink.tensor.as<T>()[i] : T(0);
        for (std::int64_t b = 0; b < s.batch; ++b) sum += biases.as<T>()[b * count + i];
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
