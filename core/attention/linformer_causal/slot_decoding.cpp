#include "core/attention/linformer_causal/slot_decoding.h"

#include <Eigen/Core>
#include <array>
#include <cmath>
#include <vector>

#include "core/attention/aligned_floats.h"
#include "core/base/error.h"
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
        if (m_tokens > 0 && m_tokens % m_blocks.block == 0) finishBlock();
        ++m_tokens;
        m_keys.insert(m_keys.end(), k.begin(), k.end());
        m_values.insert(m_values.end(), v.begin(), v.end());
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
