#include "core/analysis/device_maps.h"
#include "core/analysis/map_tile.h"
#include "core/analysis/softmax_rows.h"
#include "core/cuda/blas.h"
#include "core/cuda/context.h"
#include "core/tensor/arena.h"

namespace linscope::cuda {

void attentionMap(Arena& arena, const Snapshot& snapshot, const MapRequest& request, float* map) {
    DeviceContext& context = *arena.context();
    const Arena::Scratch scratch(arena);
    const HeadView head = headView(snapshot, request.layer, request.head, request.sample);
    const std::int64_t T = head.length, D = head.headWidth;
    const auto memory = [&](std::int64_t count) { return arena.tensor({count}).onDeviceAs<float>(); };
    const auto put = [&](std::span<const float> values) {
        float* there = memory(static_cast<std::int64_t>(values.size()));
        context.toDevice(there, values.data(), values.size_bytes());
        return there;
    };
    const float *const q = put(head.q), *const k = put(head.k);
    if (request.kind == MapKind::Exact || request.kind == MapKind::Difference)
        mapTile(context, {.q = q, .keys = k, .rows = T, .count = T, .headWidth = D, .causal = snapshot.causal}, map);
    if (request.kind == MapKind::Exact) return;

    const std::int64_t K = head.e->slots;
    float* const slots = memory(K * D);  // EK
    Products compress{{.m = K, .n = D, .k = T, .lda = head.e->length, .ldb = D, .ldc = D}};
    context.blas().multiply(compress, put(head.e->values), k, slots);
    const bool compressed = request.kind == MapKind::Compressed;
    float* const weights = compressed ? map : memory(T * K);  // P̄
    mapTile(context, {.q = q, .keys = slots, .rows = T, .count = K, .headWidth = D}, weights);
    if (compressed) return;
    Products lift{{.m = T, .n = T, .k = K, .lda = K, .ldb = head.f->length, .ldc = T}};
    lift.beta = request.kind == MapKind::Difference ? -1 : 0;  // onto P, which lies there
    context.blas().multiply(lift, weights, put(head.f->values), map);
}

}  // namespace linscope::cuda
