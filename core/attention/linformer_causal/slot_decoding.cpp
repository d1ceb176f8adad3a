#include "core/attention/linformer_causal/slot_decoding.h"

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/attention/aligned_floats.h"
#include "core/attention/attend_blocks.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/ops/gemm.h"

namespace linscope {
namespace {

class SlotDecoding : public DecodingState {
public:
    SlotDecoding(const AttentionSizes& sizes, const SlotBlocks& blocks, std::span<Parameter* const> e,
                 std::span<Parameter* const> f)
        : m_heads(sizes.heads), m_width(sizes.headWidth), m_blocks(blocks), m_e(e), m_f(f) {}

    void step(std::span<const float> q, std::span<const float> k, std::span<const float> v,
              std::span<float> o) override {
        takeIn(k, v);
        const std::int64_t slots = rowsOf(m_slotKeys), own = rowsOf(m_keys);
        m_scores.resize(static_cast<std::size_t>(slots + own));
        const float scale = 1.0f / std::sqrt(static_cast<float>(m_width));
        for (std::int64_t h = 0; h < m_heads; ++h) {
            const Eigen::Map<const Eigen::VectorXf> query(q.data() + h * m_width, m_width);
            Eigen::Map<Eigen::VectorXf> p(m_scores.data(), slots + own), out(o.data() + h * m_width, m_width);
            p.head(slots).noalias() = headOf(m_slotKeys, h).transpose() * query;
            p.tail(own).noalias() = headOf(m_keys, h).transpose() * query;
            p = ((p.array() - p.maxCoeff()) * scale).exp();
            out.noalias() = headOf(m_slotValues, h) * p.head(slots);
            out.noalias() += headOf(m_values, h) * p.tail(own);
            out /= p.sum();
        }
    }

    Variable read(const Variable& q, const Variable& k, const Variable& v) override {
        const std::int64_t tokens = q.shape()[1];
        const Variable o = q.tape().result(q.shape(), q.type(), q);
        const std::span<const float> keys = k.value().span<float>(), values = v.value().span<float>();
        for (std::int64_t at = 0; at < tokens;) {
            // As many as share a block: they see the same slots.
            const std::int64_t count = std::min(tokens - at, m_blocks.block - m_tokens % m_blocks.block);
            const auto begin = static_cast<std::size_t>(at * row()), size = static_cast<std::size_t>(count * row());
            takeIn(keys.subspan(begin, size), values.subspan(begin, size));
            attend(count, q.value().as<float>() + at * row(), o.value().as<float>() + at * row(), q.tape().arena());
            at += count;
        }
        return o;
    }

    std::vector<float> save() const override {
        const std::array<float, 2> count = countToFloats(m_tokens);
        std::vector<float> numbers(count.begin(), count.end());
        for (const AlignedFloats* part : {&m_slotKeys, &m_slotValues, &m_keys, &m_values})
            numbers.insert(numbers.end(), part->begin(), part->end());
        return numbers;
    }

    void load(std::span<const float> numbers) override {
        const std::int64_t tokens = countFromFloats(numbers), finished = m_blocks.finished(tokens);
        const auto slots = static_cast<std::size_t>(finished * m_blocks.slots * row()),
                   own = static_cast<std::size_t>((tokens - finished * m_blocks.block) * row());
        numbers = numbers.subspan(2);
        require(numbers.size() == 2 * (slots + own), "decoding",
                "the {} numbers of {} tokens' slots and block, but got {}", 2 * (slots + own), tokens, numbers.size());
        m_tokens = tokens;
        for (const auto& [part, size] : {std::pair{&m_slotKeys, slots}, std::pair{&m_slotValues, slots},
                                         std::pair{&m_keys, own}, std::pair{&m_values, own}}) {
            part->assign(numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(size));
            numbers = numbers.subspan(size);
        }
    }

private:
    using Columns = Eigen::Map<const Eigen::MatrixXf, 0, Eigen::OuterStride<>>;  // [D, rows], a column a key

    std::int64_t row() const { return m_heads * m_width; }
    std::int64_t rowsOf(const AlignedFloats& list) const { return static_cast<std::int64_t>(list.size()) / row(); }
    Columns headOf(const AlignedFloats& list, std::int64_t head) const {
        return {list.data() + head * m_width, m_width, rowsOf(list), Eigen::OuterStride<>(row())};
    }

    /// The keys and values [n,H,D] of the next tokens, which are in one block.
    void takeIn(std::span<const float> k, std::span<const float> v) {
        if (m_tokens > 0 && m_tokens % m_blocks.block == 0) finishBlock();
        m_tokens += static_cast<std::int64_t>(k.size()) / row();
        m_keys.insert(m_keys.end(), k.begin(), k.end());
        m_values.insert(m_values.end(), v.begin(), v.end());
    }

    /// o [n,H,D] of the newest n tokens of the own block, from their q [n,H,D].
    void attend(std::int64_t tokens, const float* q, float* o, Arena& arena) const {
        const Arena::Scratch loan(arena);
        const std::int64_t size = blocks::Block<float>::size(m_width), numbers = size + tokens;  // and log sums
        float* scratch = arena.tensor({std::min<std::int64_t>(threadCount(), m_heads), numbers}).as<float>();
        parallelItems(m_heads, [&](std::int64_t h, std::int64_t thread) {
            blocks::Block<float> block(scratch + thread * numbers, m_width);
            const auto headOf = [&](const AlignedFloats& keys, const AlignedFloats& values) {
                return blocks::Head<float>{.q = q + h * m_width,
                                           .k = keys.data() + h * m_width,
                                           .v = values.data() + h * m_width,
                                           .keep = nullptr,
                                           .queries = tokens,
                                           .keys = rowsOf(keys),
                                           .width = m_width,
                                           .stride = row(),
                                           .scale = 1.0f / std::sqrt(static_cast<float>(m_width))};
            };
            const blocks::Head<float> slots = headOf(m_slotKeys, m_slotValues);
            blocks::Head<float> own = headOf(m_keys, m_values);
            own.causal = true;
            own.past = own.keys - tokens;
            const std::array lists{slots, own};
            for (std::int64_t first = 0; first < tokens; first += blocks::kQueries)
                blocks::forward<float>(lists, first, o + h * m_width, scratch + thread * numbers + size, block);
        });
    }

    void finishBlock() {
        append(m_slotKeys, m_e, m_keys);
        append(m_slotValues, m_f, m_values);
        m_keys.clear();
        m_values.clear();
    }

    void append(AlignedFloats& slots, std::span<Parameter* const> projections, const AlignedFloats& tokens) const {
        const auto parts = static_cast<std::int64_t>(projections.size()), columns = row() / parts;
        const auto before = static_cast<std::int64_t>(slots.size());
        slots.resize(slots.size() + static_cast<std::size_t>(m_blocks.slots * row()));
        for (std::int64_t part = 0; part < parts; ++part)
            multiply({.m = m_blocks.slots,
                      .n = columns,
                      .k = m_blocks.block,
                      .lda = m_blocks.block,
                      .ldb = row(),
                      .ldc = row()},
                     projections[static_cast<std::size_t>(part)]->value.as<float>(), tokens.data() + part * columns,
                     slots.data() + before + part * columns);
    }

    std::int64_t m_heads, m_width, m_tokens = 0;
    SlotBlocks m_blocks;
    std::span<Parameter*const> m_e, m_f;
    AlignedFloats m_slotKeys, m_slotValues;  // [N·K,H,D]
    AlignedFloats m_keys, m_values;          // [1 … S,H,D] of the own block
    AlignedFloats m_scores;                  // [N·K + own]
};

}  // namespace

std::unique_ptr<DecodingState> startSlotDecoding(const AttentionSizes& sizes, const SlotBlocks& blocks,
                                                 std::span<Parameter* const> e, std::span<Parameter* const> f) {
    return std::make_unique<SlotDecoding>(sizes, blocks, e, f);
}

}  // namespace linscope
