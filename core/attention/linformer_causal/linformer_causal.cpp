#include "core/attention/linformer_causal/linformer_causal.h"
#include "core/attention/proof_case.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/attention/attend.h"
#include "core/attention/linformer/compress.h"
#include "core/attention/linformer_causal/slot_decoding.h"
#include "core/attention/softmax_attention.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/pointwise.h"
#include "core/ops/softmax.h"

namespace linscope {

void LinformerCausalOptions::visit(OptionVisitor& visitor) {
    visitor.integer({"block", "tokens", "Tokens of a block: a token sees its own block exactly."}, block,
                    {.minimum = 1, .maximum = 65536});
    visitor.integer({"slots", "slots", "What a finished block is compressed to, for the blocks after it."}, slots,
                    {.minimum = 1, .maximum = 65536});
    visitor.choice(
        {"sharing", "", "Which layers and heads use the same projection; key_value and layerwise have E = F."}, sharing,
        sharingNames());
}

namespace {

void validate(const LinformerCausalOptions& options, const AttentionSizes& sizes) {
    require(options.block <= sizes.length, "linformer_causal",
            "block must be at most the length {}, but is {}; lower block or raise task.length", sizes.length,
            options.block);
    require(options.slots <= options.block, "linformer_causal",
            "slots must be at most block, {}, or nothing is compressed, but is {}; lower slots or raise block",
            options.block, options.slots);
}

// Every sharing mode; blocks that divide nothing, of more tokens than a tile has rows and columns, of one token; more
// slots than a tile has columns.
std::vector<OptionValues> variants(const AttentionSizes& sizes) {
    const auto options = [&](std::int64_t block, std::int64_t slots, const char* sharing) {
        block = std::min(block, std::max<std::int64_t>(1, sizes.length / 3));
        return OptionValues{{"block", block}, {"slots", std::min(slots, block)}, {"sharing", std::string(sharing)}};
    };
    return {options(13, 5, "none"), options(20, 9, "headwise"), options(300, 7, "key_value"),
            options(1, 1, "layerwise")};
}

/// Entries N(0, 1/block): slots are in one softmax with tokens, and so are at first of their size.
ProjectionPlan planOf(const LinformerCausalOptions& options, const AttentionSizes& sizes) {
    validate(options, sizes);
    return {.sharing = sharingOf(options.sharing),
            .slots = std::vector(static_cast<std::size_t>(sizes.layers), options.slots),
            .columns = options.block,
            .deviation = 1.0 / std::sqrt(static_cast<double>(options.block))};
}

/// The finished blocks of x [B,T,H,D] as a batch of their own: [B·N,S,H,D], N > 0.
Variable finishedBlocks(const Variable& x, const SlotBlocks& blocks) {
    const Shape& s = x.shape();
    const std::int64_t count = blocks.finished(s[1]);
    return reshape(slice(x, 0, count * blocks.block), {s[0] * count, blocks.block, s[2], s[3]});
}

/// And what became of them, [B·N,K,H,D], as one list of slots for each sample: [B,N·K,H,D].
Variable slotList(const Variable& slots, std::int64_t batch) {
    const Shape& s = slots.shape();
    return reshape(slots, {batch, s[0] / batch * s[1], s[2], s[3]});
}

/// [T, N·K + T], `ifSeen` where token i sees the slot or token, else `ifNot`.
Tensor pairs(Arena& arena, DType type, std::int64_t length, const SlotBlocks& blocks, double ifSeen, double ifNot) {
    const std::int64_t slots = blocks.finished(length) * blocks.slots;
    const Tensor mask = arena.tensor({length, slots + length}, type);
    dispatchReal(type, [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t i = 0; i < length; ++i)
            for (std::int64_t c = 0; c < slots + length; ++c) {
                const std::int64_t j = c - slots;
                const bool seen =
                    j < 0 ? c / blocks.slots < i / blocks.block : j / blocks.block == i / blocks.block && j <= i;
                mask.as<T>()[i * (slots + length) + c] = static_cast<T>(seen ? ifSeen : ifNot);
            }
    });
    return mask;
}

}  // namespace

LinformerCausal::LinformerCausal(const LinformerCausalOptions& options, const AttentionSizes& sizes,
                                 ParameterStore& parameters)
    : Mechanism(sizes),
      m_blocks(options.blocks()),
      m_projections(planOf(options, sizes), sizes, parameters,
                    [this](const char* name, int layer, int head, Parameter* matrix) {
                        addProjection(name, layer, head, matrix);
                    }) {
    require(sizes.causal, "linformer_causal", "a decoder, since its slots hold the past alone, but got an encoder");
}

Variable LinformerCausal::forwardImpl(const AttentionInput& input) const {
    const Variable k = withoutPadding(input.k, input.keep), v = withoutPadding(input.v, input.keep);
    const std::int64_t batch = k.shape()[0], length = k.shape()[1];
    Variable slotKeys, slotValues;
    if (m_blocks.finished(length) > 0) {
        slotKeys = slotList(compress(m_projections.e(input.layer), finishedBlocks(k, m_blocks)), batch);
        slotValues = slotList(compress(m_projections.f(input.layer), finishedBlocks(v, m_blocks)), batch);
    }
    const SlotKeep keep{input.keep, slotsKept(k.tape().arena(), input.keep, batch, length, m_blocks)};
    return slotAttend(input.q, k, v, slotKeys, slotValues, m_blocks, keep);
}

Variable LinformerCausal::naiveImpl(const AttentionInput& input) const {
    Arena& arena = input.q.tape().arena();
    const DType type = input.q.type();
    Variable keys = withoutPadding(input.k, input.keep), values = withoutPadding(input.v, input.keep);
    const std::int64_t batch = keys.shape()[0], length = keys.shape()[1],
                       slots = m_blocks.finished(length) * m_blocks.slots;
    std::span<const float> keep = input.keep;
    if (slots > 0) {
        const auto withSlots = [&](std::span<Parameter* const> projections, const Variable& x) {
            const std::array parts{slotList(plainCompress(projections, finishedBlocks(x, m_blocks)), batch), x};
            return concatenate(parts);  // [B,N·K + T,H,D]
        };
        keys = withSlots(m_projections.e(input.layer), keys);
        values = withSlots(m_projections.f(input.layer), values);
    }
    if (slots > 0 && !keep.empty()) {
        const std::span<const float> kept = slotsKept(arena, keep, batch, length, m_blocks);
        const Tensor both = arena.tensor({batch, slots + length}, DType::F32);
        for (std::int64_t b = 0; b < batch; ++b) {
            std::copy_n(kept.begin() + b * slots, slots, both.as<float>() + b * (slots + length));
            std::copy_n(keep.begin() + b * length, length, both.as<float>() + b * (slots + length) + slots);
        }
        keep = both.span<float>();
    }
    const Variable scores = scale(matmul(swapMiddle(input.q), swapMiddle(keys), {.transposeB = true}),
                                  1.0 / std::sqrt(static_cast<double>(sizes().headWidth)));
    const Variable seen = addConstant(scores, pairs(arena, type, length, m_blocks, 0, -1e30));
    // The second mask is for a query whose seen keys are all padding: it gives 0.
    const Variable weights = multiplyConstant(softmax(seen, keep), pairs(arena, type, length, m_blocks, 1, 0));
    return swapMiddle(matmul(weights, swapMiddle(values)));
}

std::unique_ptr<DecodingState> LinformerCausal::startDecodingImpl(int layer) const {
    return startSlotDecoding(sizes(), m_blocks, m_projections.e(layer), m_projections.f(layer));
}

namespace {

// Slots that are the tokens: the past is seen whole, and the own block is exact anyway.
std::vector<TheoryResult> theory() {
    const AttentionSizes sizes{.heads = 2, .headWidth = 6, .length = 40, .causal = true};
    const proofs::Case slots{
        &findMechanism("linformer_causal"),
        sizes,
        1,
        {{"block", std::int64_t{8}}, {"slots", std::int64_t{8}}, {"sharing", std::string("layerwise")}}};
    const proofs::Case full{&findMechanism("full"), sizes, 1, {}};
    const auto identity = [](ParameterStore& store) {
        const Tensor& e = store.find("attention.E")->value;
        for (std::int64_t i = 0; i < e.elements(); ++i) e.as<double>()[i] = i % 9 == 0 ? 1 : 0;
    };
    return {
        {"E = F = I is exact attention", proofs::difference(slots, full, proofs::randomInputs(full), identity), 1e-12}};
}

}  // namespace

MechanismInfo linformerCausalMechanism() {
    return {
        .name = "linformer_causal",
        .title = "Causal Linformer",
        .summary = "Finished blocks of the past compressed to slots by learned E and F; the own block is seen exactly.",
        .paper = "after Wang et al. 2020, arXiv:2006.04768, which has no causal form",
        .traits = {.bidirectional = false, .causal = true, .signedMap = true, .mapAxis = MapAxis::Tokens},
        .options = specsOf<LinformerCausalOptions>(),
        .create = [](const OptionValues& options, const AttentionSizes& sizes,
                     ParameterStore& parameters) -> std::unique_ptr<Mechanism> {
            return std::make_unique<LinformerCausal>(optionsFrom<LinformerCausalOptions>(options, "linformer_causal"),
                                                     sizes, parameters);
        },
        .validate =
            [](const OptionValues& options, const AttentionSizes& sizes) {
                validate(optionsFrom<LinformerCausalOptions>(options, "linformer_causal"), sizes);
            },
        .variants = variants,
        .position = [](Position position, bool) -> PositionFit {
            if (position == Position::Rotary)
                return {Fit::Approximate,
                        "exact within a block; a slot mixes keys of many places, so that relative terms blur"};
            return {Fit::Refused, "a slot has no place, so that it has no distance from a query"};
        },
        .cudaForm = [](const OptionValues&,
                       const AttentionSizes& sizes) { return sizes.headWidth <= cuda::kMostHeadWidth; },
        .cudaForms = "head widths up to 128 have one",
        .theory = theory,
    };
}

}  // namespace linscope
