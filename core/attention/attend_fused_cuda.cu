#include "core/attention/attend_call.cuh"
#include "core/cuda/fused_attention.h"

namespace linscope::cuda {
namespace {

/// Heads that are narrower take as long by the kernels here, whose sums have a fixed order.
constexpr std::int64_t kLeastWidth = 64;

void* workspaceOf(Arena& arena, std::int64_t bytes) {
    return bytes == 0 ? nullptr : arena.tensor({(bytes + 3) / 4}).raw();
}

/// Where the library may write x's gradient: where it goes, or, where it is to be added or nobody wants it, memory of
/// this kind.
Tensor gradientRoom(const Variable& x) {
    if (x.needsGradient() && !x.state()->hasGradient) return x.gradientSink().tensor;
    return x.tape().arena().tensor(x.shape(), DType::BF16);
}
void addFrom(const Variable& x, const Tensor& room) {
    if (!x.needsGradient() || x.gradient().raw() == room.raw()) return;
    const Out out = outOf(x);
    const Bf16* from = room.onDeviceAs<Bf16>();
    forEach(streamOf(x), room.elements(), "attend, backwards",
            [=] __device__(std::int64_t i) { out.put(i, toFloat(from[i])); });
}

void backward(const FusedAttention& fused, const Variable& q, const Variable& k, const Variable& v, const Variable& o,
              const Tensor& lse) {
    Arena& arena = q.tape().arena();
    const Tensor dq = gradientRoom(q), dk = gradientRoom(k), dv = gradientRoom(v), dO = rounded(arena, o.gradient());
    {
        const Arena::Scratch scratch(arena);
        fused.backward(streamOf(q),
                       {.q = q.value().raw(),
                        .k = k.value().raw(),
                        .v = v.value().raw(),
                        .o = o.value().raw(),
                        .lse = lse.raw(),
                        .dO = dO.raw(),
                        .dq = dq.raw(),
                        .dk = dk.raw(),
                        .dv = dv.raw(),
                        .deltas = arena.tensor(lse.shape()).raw(),
                        .dqSums = arena.tensor(q.shape()).raw()},
                       workspaceOf(arena, fused.backwardWorkspaceBytes()));
    }
    addFrom(q, dq);
    addFrom(k, dk);
    addFrom(v, dv);
}

}  // namespace

const FusedAttention* fusedAttentionFor(const Variable& q, const Variable& k, const Variable& v,
                                        const AttendOptions& options) {
    const bool plain = options.keep.empty() && options.window == 0 && options.slopes.empty() && !options.bias;
    const FusedAttention::Form form{.batch = q.shape()[0],
                                    .heads = q.shape()[2],
                                    .queries = q.shape()[1],
                                    .keys = k.shape()[1],
                                    .width = q.shape()[3],
                                    .causal = options.causal};
    // Many queries for few keys, Linformer's slots, take longer by the library.
    if (!plain || form.queries != form.keys || form.width % 8 != 0 || form.width < kLeastWidth) return nullptr;
    for (const Variable* x : {&q, &k, &v})
        if (x->type() != DType::BF16) return nullptr;
    FusedAttentions* library = contextOf(q).fusedAttentions();
    return library != nullptr ? library->find(form) : nullptr;
}

Variable attendFused(const FusedAttention& fused, const Variable& q, const Variable& k, const Variable& v) {
    Tape& tape = q.tape();
    Arena& arena = tape.arena();
    const Variable o = tape.result(q.shape(), DType::BF16, q, k, v);
    const Tensor lse = arena.tensor({q.shape()[0], q.shape()[2], q.shape()[1]});
    {
        const Arena::Scratch scratch(arena);
        fused.forward(
            streamOf(q),
            {.q = q.value().raw(), .k = k.value().raw(), .v = v.value().raw(), .o = o.value().raw(), .lse = lse.raw()},
            workspaceOf(arena, fused.forwardWorkspaceBytes()));
    }
    tape.record(o, [&fused, q, k, v, o, lse] { backward(fused, q, k, v, o, lse); });
    return o;
}

}  // namespace linscope::cuda
