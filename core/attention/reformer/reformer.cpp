#include "core/attention/reformer/reformer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/attention/attend.h"
#include "core/attention/reformer/chunk_attend.h"
#include "core/attention/softmax_attention.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/pointwise.h"
#include "core/ops/softmax.h"

namespace linscope {

void ReformerOptions::visit(OptionVisitor& visitor) {
    visitor.integer({"rounds", "", "Independent hashes; more of them miss fewer of the keys that matter."}, rounds,
                    {.minimum = 1, .maximum = 64});
    visitor.integer({"buckets", "", "Values of a hash, an even number; about length/chunk suits."}, buckets,
                    {.minimum = 2, .maximum = 65536});
    visitor.integer({"chunk", "tokens", "Tokens of a chunk; a token sees its own chunk and the one before."}, chunk,
                    {.minimum = 1});
    visitor.choice({"duplicates", "", "A key met in several rounds: count it once, or allow it to weigh more."},
                   duplicates, {"count", "allow"});
}

namespace {

void validate(const ReformerOptions& options, const AttentionSizes& sizes) {
    require(options.buckets % 2 == 0, "reformer",
            "buckets must be even, since each direction is a pair of buckets, but is {}; take {}", options.buckets,
            options.buckets + 1);
    require(options.chunk <= sizes.length, "reformer",
            "chunk must be at most the length {}, but is {}; lower chunk or raise task.length", sizes.length,
            options.chunk);
}

// One round and several, both kinds of duplicates, chunks that divide nothing, and buckets of two factors.
std::vector<OptionValues> variants(const AttentionSizes& sizes) {
    const auto options = [&](std::int64_t rounds, std::int64_t buckets, std::int64_t chunk, const char* duplicates) {
        return OptionValues{{"rounds", rounds},
                            {"buckets", buckets},
                            {"chunk", std::min(chunk, std::max<std::int64_t>(1, sizes.length / 3))},
                            {"duplicates", std::string(duplicates)}};
    };
    return {options(1, 2, 5, "allow"), options(3, 6, 16, "count"), options(2, 72, 13, "allow")};
}

/// factor(‖x‖²) = 1/‖x‖, at most 1e12, for rows x [...,D] → [...,1]
Variable inverseNorms(const Variable& x) {
    return pointwise(
        sumLast(multiply(x, x)),
        [](auto square) {
            using T = decltype(square);
            return T(1) / std::max(std::sqrt(square), T(1e-12));
        },
        [](auto square, auto y) {
            using T = decltype(square);
            return std::sqrt(square) > T(1e-12) ? T(-0.5) * y / square : T(0);
        });
}

}  // namespace

ReformerAttention::ReformerAttention(const ReformerOptions& options, const AttentionSizes& sizes,
                                     ParameterStore& parameters)
    : Mechanism(sizes), m_options(options) {
    validate(options, sizes);
    if (sizes.position == Position::Alibi) m_slopes = alibiSlopes(sizes.heads);
    for (std::int64_t layer = 0; layer < sizes.layers; ++layer)
        m_rotations.push_back(&parameters.add(fmt::format("attention.layer{}.rotations", layer),
                                              {sizes.heads, options.rounds, sizes.headWidth, lshSizes().directions()},
                                              {.standardDeviation = 1, .decay = false, .buffer = true}));
}

LshSizes ReformerAttention::lshSizes() const {
    return {.rounds = m_options.rounds,
            .buckets = m_options.buckets,
            .chunk = m_options.chunk,
            .causal = sizes().causal,
            .unturn = sizes().position == Position::Rotary};
}

Variable ReformerAttention::forwardImpl(const AttentionInput& input) const {
    const LshChunks chunks = chunksOf(input.q.tape().arena(), input.layer, input.q.value(), input.keep);
    return chunkAttend(input.q, input.v, chunks,
                       {.chunk = m_options.chunk, .countOnce = m_options.duplicates == "count", .slopes = m_slopes});
}

Variable ReformerAttention::naiveImpl(const AttentionInput& input) const {
    Tape& tape = input.q.tape();
    const Shape& shape = input.q.shape();
    const std::int64_t length = shape[1], heads = shape[2];
    const LshChunks chunks = chunksOf(tape.arena(), input.layer, input.q.value(), input.keep);
    const Shape pairs{shape[0], heads, length, length};
    const Tensor extra = tape.arena().tensor(pairs, input.q.type()), seen = tape.arena().tensor(pairs, input.q.type());
    dispatchReal(input.q.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t row = 0; row < shape[0] * heads * length; ++row) {
            const std::int64_t head = row / length, i = row % length;
            bool alone = chunks.chunkOf(head, 0)[i] >= 0;
            const auto set = [&](std::int64_t j, std::int32_t meetings) {
                const double weight = m_options.duplicates == "count" ? 1 : meetings;
                const double slope = m_slopes.empty() ? 0 : m_slopes[static_cast<std::size_t>(head % heads)];
                seen.as<T>()[row * length + j] = meetings > 0 ? T(1) : T(0);
                extra.as<T>()[row * length + j] = static_cast<T>(
                    meetings > 0 ? std::log(weight) - slope * static_cast<double>(std::abs(i - j)) : -1e30);
            };
            for (std::int64_t j = 0; j < length; ++j) {
                const std::int32_t meetings = chunks.meetings(head, i, j);
                alone = alone && meetings == 0;
                set(j, meetings);
            }
            if (alone) set(i, 1);
        }
    });
    const Variable q = withoutPadding(input.q, input.keep), v = withoutPadding(input.v, input.keep);
    const Variable keys = multiplyRows(q, inverseNorms(q));
    const Variable scores = scale(matmul(swapMiddle(q), swapMiddle(keys), {.transposeB = true}),
                                  1.0 / std::sqrt(static_cast<double>(shape[3])));
    // The mask after the softmax is for padded queries, which see nothing.
    const Variable weights = multiplyConstant(softmax(addConstant(scores, extra)), seen);
    return swapMiddle(matmul(weights, swapMiddle(v)));
}

std::vector<std::int32_t> ReformerAttention::attended(int layer, std::int64_t head, std::span<const float> q) const {
    const std::int64_t heads = sizes().heads, width = sizes().headWidth;
    require(layer >= 0 && layer < sizes().layers && head >= 0 && head < heads, "reformer",
            "a layer below {} and a head below {}, but got {} and {}", sizes().layers, heads, layer, head);
    const std::int64_t length = static_cast<std::int64_t>(q.size()) / width;
    require(length * width == static_cast<std::int64_t>(q.size()), "reformer", "q [T,{}], but got {} numbers", width,
            q.size());
    Arena arena;
    const Tensor all = arena.zeros({1, length, heads, width});
    for (std::int64_t t = 0; t < length; ++t)
        std::copy_n(q.data() + t * width, width, all.as<float>() + (t * heads + head) * width);
    const LshChunks chunks = chunksOf(arena, layer, all, {});
    std::vector<std::int32_t> result(static_cast<std::size_t>(length * length));
    for (std::int64_t i = 0; i < length; ++i) {
        std::int32_t* row = result.data() + i * length;
        for (std::int64_t j = 0; j < length; ++j) row[j] = chunks.meetings(head, i, j);
        if (std::all_of(row, row + length, [](std::int32_t meetings) { return meetings == 0; })) row[i] = 1;
    }
    return result;
}

namespace {

// One chunk for everything: each round meets all, but never oneself.
std::vector<TheoryResult> theory() {
    constexpr std::int64_t kLength = 40, kWidth = 8, kRounds = 3;
    ParameterStore store(1);
    const ReformerAttention reformer({.rounds = kRounds, .buckets = 16, .chunk = kLength},
                                     {.heads = 2, .headWidth = kWidth, .length = kLength}, store);
    Random random(5, "tokens");
    std::vector<float> q(kLength * kWidth);
    for (float& x : q) x = static_cast<float>(random.normal());
    const std::vector<std::int32_t> met = reformer.attended(0, 1, q);
    double wrong = 0;
    for (std::int64_t i = 0; i < kLength; ++i)
        for (std::int64_t j = 0; j < kLength; ++j)
            wrong += met[static_cast<std::size_t>(i * kLength + j)] != (i == j ? 0 : kRounds);
    return {{"one chunk meets all others in every round", wrong, 0.0}};
}

}  // namespace

MechanismInfo reformerMechanism() {
    return {
        .name = "reformer",
        .title = "Reformer (LSH)",
        .summary = "Attention among tokens whose queries hash alike; queries are keys.",
        .paper = "Kitaev et al. 2020, arXiv:2001.04451",
        .traits = {.causal = true, .sharedKeys = true, .mapAxis = MapAxis::Tokens},
        .options = specsOf<ReformerOptions>(),
        .create = [](const OptionValues& options, const AttentionSizes& sizes,
                     ParameterStore& parameters) -> std::unique_ptr<Mechanism> {
            return std::make_unique<ReformerAttention>(optionsFrom<ReformerOptions>(options, "reformer"), sizes,
                                                       parameters);
        },
        .validate =
            [](const OptionValues& options, const AttentionSizes& sizes) {
                validate(optionsFrom<ReformerOptions>(options, "reformer"), sizes);
            },
        .variants = variants,
        .position = [](Position position, bool) -> PositionFit {
            if (position == Position::RelativeBias)
                return {Fit::Refused, "a bias of a distance would be trained by the few pairs that hash together"};
            return {};
        },
        .cudaForm =
            [](const OptionValues&, const AttentionSizes& sizes) {
                return sizes.headWidth <= cuda::kMostHeadWidth && sizes.heads <= cuda::kMostChunkHeads;
            },
        .cudaForms = "head widths up to 128 and up to 256 heads have one",
        .theory = theory,
    };
}

}  // namespace linscope
