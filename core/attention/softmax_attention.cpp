#include "core/attention/softmax_attention.h"

#include <algorithm>
#include <cmath>

#include "core/autograd/tape.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/pointwise.h"
#include "core/ops/softmax.h"

namespace linscope {
namespace {

template <typename Function>
Tensor filled(Arena& arena, const Shape& shape, DType type, Function&& function) {
    const Tensor tensor = arena.tensor(shape, type);
    dispatchReal(type, [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t i = 0; i < tensor.elements(); ++i) tensor.as<T>()[i] = static_cast<T>(function(i));
    });
    return tensor;
}

/// bias [H, buckets] looked up for every pair: [H·T,S], by a product with the pairs' one-hot buckets.
Variable spreadBias(const Variable& bias, std::int64_t queries, std::int64_t keys, bool causal) {
    const std::int64_t pairs = queries * keys;
    const Tensor oneHot = filled(bias.tape().arena(), {kRelativeBuckets, pairs}, bias.type(), [&](std::int64_t i) {
        const std::int64_t pair = i % pairs;
        return i / pairs == relativeBucket(pair % keys - pair / keys, causal) ? 1.0 : 0.0;
    });
    return reshape(matmul(bias, bias.tape().constant(oneHot)), {bias.shape()[0] * queries, keys});
}

}  // namespace

SoftmaxPosition::SoftmaxPosition(const AttentionSizes& sizes, ParameterStore& parameters) {
    if (sizes.position == Position::Alibi) m_slopes = alibiSlopes(sizes.heads);
    if (sizes.position == Position::RelativeBias)
        m_relative = &parameters.add("attention.relative_bias", {sizes.heads, kRelativeBuckets}, {.decay = false});
}

AttendOptions SoftmaxPosition::options(Tape& tape, AttendOptions options) const {
    options.slopes = m_slopes;
    if (m_relative != nullptr) options.bias = leafOf(tape, *m_relative);
    return options;
}

float SoftmaxPosition::past(std::int64_t head, std::int64_t distance) const {
    if (!m_slopes.empty())
        return static_cast<float>(-m_slopes[static_cast<std::size_t>(head)] * static_cast<double>(distance));
    if (m_relative == nullptr) return 0;
    return m_relative->value.as<float>()[head * kRelativeBuckets + relativeBucket(-distance, true)];
}

Variable softmaxAttention(const Variable& q, const Variable& k, const Variable& v, const AttendOptions& options) {
    Arena& arena = q.tape().arena();
    const std::int64_t queries = q.shape()[1], keys = k.shape()[1], heads = q.shape()[2];
    const double factor = 1.0 / std::sqrt(static_cast<double>(q.shape()[3]));
    Variable scores = scale(matmul(swapMiddle(q), swapMiddle(k), {.transposeB = true}), factor);  // [B,H,T,S]
    if (!options.slopes.empty())
        scores = addConstant(scores, filled(arena, {heads, queries, keys}, q.type(), [&](std::int64_t i) {
                                 const std::int64_t pair = i % (queries * keys);
                                 const auto distance = static_cast<double>(std::abs(pair % keys - pair / keys));
                                 return -options.slopes[static_cast<std::size_t>(i / (queries * keys))] * distance;
                             }));
    if (options.bias) {
        const Variable spread = spreadBias(options.bias, queries, keys, options.causal);
        const std::vector<Variable> each(static_cast<std::size_t>(q.shape()[0]), spread);
        scores = add(scores, reshape(stack(each), scores.shape()));
    }
    if (!options.causal && options.window == 0) return swapMiddle(matmul(softmax(scores, options.keep), swapMiddle(v)));
    const auto mask = [&](double ifSeen, double ifNot) {
        return filled(arena, {queries, keys}, q.type(), [&](std::int64_t i) {
            const std::int64_t query = i / keys, key = i % keys;
            const bool hidden =
                (options.causal && key > query) || (options.window > 0 && std::abs(query - key) >= options.window);
            return hidden ? ifNot : ifSeen;
        });
    };
    const Tensor seen = mask(1, 0), unseen = mask(0, -1e30);
    // The second mask is for a query whose seen keys are all padding: it gives 0.
    const Variable weights = multiplyConstant(softmax(addConstant(scores, unseen), options.keep), seen);
    return swapMiddle(matmul(weights, swapMiddle(v)));
}

Variable withoutPadding(const Variable& x, std::span<const float> keep) {
    if (keep.empty()) return x;
    const Shape& s = x.shape();
    return reshape(scaleRows(reshape(x, {s[0], s[1], s[2] * s[3]}), keep), s);
}

}  // namespace linscope
