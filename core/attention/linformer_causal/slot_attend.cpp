#include "core/attention/linformer_causal/slot_attend.h"

#include <algorithm>
#include <array>

#include "core/attention/attend_blocks.h"
#include "core/attention/head_scan.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"

namespace linscope {
namespace {

using blocks::kKeys;
using blocks::kQueries;

/// What the closures keep: trivially destructible.
struct Call {
    Variable q, k, v, slotKeys, slotValues;
    SlotBlocks blocks;
    SlotKeep keep;
    std::int64_t batch, length, heads, width, finished;

    std::int64_t stride() const { return heads * width; }
    std::int64_t slots() const { return finished * blocks.slots; }  // N·K
    /// Where head `index`'s numbers begin in q, k, v and o, and in the slots.
    std::int64_t tokenOffset(std::int64_t index) const {
        return index / heads * length * stride() + index % heads * width;
    }
    std::int64_t slotOffset(std::int64_t index) const {
        return index / heads * slots() * stride() + index % heads * width;
    }
};

/// The two lists of keys that the block of queries from `begin` on sees.
template <typename T>
struct BlockHeads {
    blocks::Head<T> slots, own;
};

template <typename T>
BlockHeads<T> headsOf(const Call& c, std::int64_t index, std::int64_t begin) {
    const std::int64_t b = index / c.heads, rows = std::min(c.blocks.block, c.length - begin);
    const std::int64_t at = c.tokenOffset(index) + begin * c.stride();
    const T scale = T(1) / std::sqrt(T(c.width));
    const T* q = c.q.value().as<T>() + at;
    BlockHeads<T> heads{};
    heads.own = {q,
                 c.k.value().as<T>() + at,
                 c.v.value().as<T>() + at,
                 c.keep.tokens.empty() ? nullptr : c.keep.tokens.data() + b * c.length + begin,
                 rows,
                 rows,
                 c.width,
                 c.stride(),
                 scale,
                 true};
    heads.own.precision = c.q.tape().precision();
    if (begin == 0) return heads;
    const std::int64_t atSlots = c.slotOffset(index);
    heads.slots = {q,
                   c.slotKeys.value().as<T>() + atSlots,
                   c.slotValues.value().as<T>() + atSlots,
                   c.keep.slots.empty() ? nullptr : c.keep.slots.data() + b * c.slots(),
                   rows,
                   begin / c.blocks.block * c.blocks.slots,
                   c.width,
                   c.stride(),
                   scale};
    heads.slots.precision = heads.own.precision;
    return heads;
}

/// Calls function(keys, column, columns) for the tiles that the queries [row, row + rows) of a block see.
template <typename T, typename Function>
void forTiles(const BlockHeads<T>& heads, std::int64_t row, std::int64_t rows, Function&& function) {
    for (const blocks::Head<T>* keys : {&heads.slots, &heads.own}) {
        const std::int64_t end = keys->keyRange(row, rows).second;
        for (std::int64_t column = 0; column < end; column += kKeys)
            function(*keys, column, std::min(kKeys, end - column));
    }
}

template <typename T>
void forward(const Call& c, const Tensor& o, const Tensor& lse) {
    const std::int64_t size = blocks::Block<T>::size(c.width);
    forEachHead<T>(c.batch * c.heads, c.q.tape().arena(), size, [&](std::int64_t index, T* scratch) {
        blocks::Block<T> block(scratch, c.width);
        for (std::int64_t begin = 0; begin < c.length; begin += c.blocks.block) {
            const BlockHeads<T> heads = headsOf<T>(c, index, begin);
            const std::array lists{heads.slots, heads.own};
            for (std::int64_t row = 0; row < heads.own.queries; row += kQueries)
                blocks::forward<T>(lists, row, o.as<T>() + c.tokenOffset(index) + begin * c.stride(),
                                   lse.as<T>() + index * c.length + begin, block);
        }
    });
}

template <typename T>
void clear(T* rows, std::int64_t count, std::int64_t width, std::int64_t stride) {
    for (std::int64_t i = 0; i < count; ++i) std::fill_n(rows + i * stride, width, T(0));
}

template <typename T>
void backward(const Call& c, const Variable& o, const Tensor& lse) {
    Arena& arena = c.q.tape().arena();
    // A gradient nobody asks for goes to scratch memory: rare, and the loop stays one.
    const auto sinkOf = [&](const Variable& x) {
        if (!x) return Variable::Sink{};
        return x.needsGradient() ? x.gradientSink() : Variable::Sink{arena.tensor(x.shape(), x.type()), false};
    };
    const Variable::Sink dq = sinkOf(c.q), dk = sinkOf(c.k), dv = sinkOf(c.v), dSlotKeys = sinkOf(c.slotKeys),
                         dSlotValues = sinkOf(c.slotValues);
    forEachHead<T>(c.batch * c.heads, arena, blocks::Block<T>::size(c.width), [&](std::int64_t index, T* scratch) {
        blocks::Block<T> block(scratch, c.width);
        const std::int64_t tokens = c.tokenOffset(index), stride = c.stride();
        for (const Variable::Sink& sink : {dk, dv})
            if (!sink.accumulate) clear(sink.tensor.as<T>() + tokens, c.length, c.width, stride);
        for (const Variable::Sink& sink : {dSlotKeys, dSlotValues})
            if (c.finished > 0 && !sink.accumulate)
                clear(sink.tensor.as<T>() + c.slotOffset(index), c.slots(), c.width, stride);
        for (std::int64_t begin = 0; begin < c.length; begin += c.blocks.block) {
            const BlockHeads<T> heads = headsOf<T>(c, index, begin);
            const std::int64_t at = tokens + begin * stride;
            T *dOwnKeys = dk.tensor.as<T>() + at, *dOwnValues = dv.tensor.as<T>() + at;
            const std::int64_t atSlots = c.slotOffset(index);
            for (std::int64_t row = 0; row < heads.own.queries; row += kQueries) {
                const std::int64_t rows = std::min(kQueries, heads.own.queries - row), first = at + row * stride;
                block.beginBack(heads.own, row, rows, o.value().as<T>() + first, o.gradient().as<T>() + first,
                                lse.as<T>() + index * c.length + begin + row);
                forTiles(heads, row, rows, [&](const auto& keys, std::int64_t column, std::int64_t columns) {
                    const bool own = &keys == &heads.own;
                    block.absorbBack(keys, column, columns, c.length == 1,
                                     own ? dOwnKeys : dSlotKeys.tensor.as<T>() + atSlots, true,
                                     own ? dOwnValues : dSlotValues.tensor.as<T>() + atSlots, true);
                });
                block.settleBack(heads.own, dq.tensor.as<T>() + first, dq.accumulate);
            }
        }
    });
}

}  // namespace

Variable slotAttend(const Variable& q, const Variable& k, const Variable& v, const Variable& slotKeys,
                    const Variable& slotValues, const SlotBlocks& blocks, const SlotKeep& keep) {
    const Shape& s = q.shape();
    const Call c{q, k, v, slotKeys, slotValues, blocks, keep, s[0], s[1], s[2], s[3], blocks.finished(s[1])};
    require(k.shape() == s && v.shape() == s, "slots", "k and v of q's shape {}, but got {} and {}", s.text(),
            k.shape().text(), v.shape().text());
    const Shape slotShape{s[0], c.slots(), s[2], s[3]};
    if (c.finished > 0)
        require(slotKeys && slotValues && slotKeys.shape() == slotShape && slotValues.shape() == slotShape, "slots",
                "keys and values of slots {}, but got others", slotShape.text());
    if (q.value().onDevice()) return cuda::slotAttend(q, k, v, slotKeys, slotValues, blocks, keep);
    Tape& tape = q.tape();
    const Variable o =
        c.finished > 0 ? tape.result(s, q.type(), q, k, v, slotKeys, slotValues) : tape.result(s, q.type(), q, k, v);
    const Tensor lse = tape.arena().tensor({s[0], s[2], s[1]}, q.type());
    dispatchReal(q.type(), [&](auto zero) { forward<decltype(zero)>(c, o.value(), lse); });
    tape.record(o, [=] { dispatchReal(q.type(), [&](auto zero) { backward<decltype(zero)>(c, o, lse); }); });
    return o;
}

std::span<const float> slotsKept(Arena& arena, std::span<const float> keep, std::int64_t batch, std::int64_t length,
                                 const SlotBlocks& blocks) {
    const std::int64_t finished = blocks.finished(length);
    if (keep.empty() || finished == 0) return {};
    if (arena.context() != nullptr) return cuda::slotsKept(arena, keep, batch, length, blocks);
    const Tensor kept = arena.tensor({batch, finished, blocks.slots}, DType::F32);
    for (std::int64_t i = 0; i < batch * finished; ++i) {
        const auto first = keep.begin() + i / finished * length + i % finished * blocks.block;
        const bool any = std::any_of(first, first + blocks.block, [](float k) { return k != 0.0f; });
        std::fill_n(kept.as<float>() + i * blocks.slots, blocks.slots, any ? 1.0f : 0.0f);
    }
    return kept.span<float>();
}

}  // namespace linscope
