#include "core/attention/linformer_causal/slot_attend.h"
#include "core/attention/list_attend.cuh"

namespace linscope::cuda {
namespace {

/// List 0: the slots of the blocks before a query's. List 1: the tokens of its own block up to itself.
struct SlotPlan : ListCall<2> {
    int block = 1, slots = 1;  // S, K

    __device__ bool seen(int list, int, int query, int key) const {
        if (list == 0) return key / slots < query / block;
        return key <= query && key / block == query / block;
    }
    __device__ int2 keys(int list, int row) const {
        const int last = min(row + kTile, length) - 1;
        return list == 0 ? make_int2(0, last / block * slots) : make_int2(row / block * block, last + 1);
    }
    __device__ int2 queries(int list, int key) const {
        const int last = min(key + kTile, lists[list].count) - 1;
        return list == 0 ? make_int2((key / slots + 1) * block, length) : make_int2(key, (last / block + 1) * block);
    }
};

}  // namespace

Variable slotAttend(const Variable& q, const Variable& k, const Variable& v, const Variable& slotKeys,
                    const Variable& slotValues, const SlotBlocks& blocks, const SlotKeep& keep) {
    SlotPlan plan;
    plan.block = static_cast<int>(blocks.block);
    plan.slots = static_cast<int>(blocks.slots);
    plan.live = q.shape()[1] > 1 ? 1.0f : 0.0f;
    return attendLists(plan, q,
                       {{{slotKeys, slotValues, keep.slots.empty() ? nullptr : keep.slots.data()},
                         {k, v, keep.tokens.empty() ? nullptr : keep.tokens.data()}}});
}

std::span<const float> slotsKept(Arena& arena, std::span<const float> keep, std::int64_t batch, std::int64_t length,
                                 const SlotBlocks& blocks) {
    const std::int64_t finished = blocks.finished(length), count = batch * finished * blocks.slots;
    float* kept = arena.tensor({count}).onDeviceAs<float>();
    const float* tokens = keep.data();
    forEach(arena.context()->stream(), count, "slots", [=] __device__(std::int64_t i) {
        const std::int64_t n = i / blocks.slots;
        const float* first = tokens + n / finished * length + n % finished * blocks.block;
        bool any = false;
        for (std::int64_t t = 0; t < blocks.block; ++t) any = any || first[t] != 0.0f;
        kept[i] = any ? 1.0f : 0.0f;
    });
    return {kept, static_cast<std::size_t>(count)};
}

}  // namespace linscope::cuda
