#include "core/attention/softmax_attention.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "core/attention/aligned_floats.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
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

class CachedDecoding : public DecodingState {
public:
    CachedDecoding(const AttentionSizes& sizes, const SoftmaxPosition& position, std::int64_t window)
        : m_heads(sizes.heads), m_width(sizes.headWidth), m_position(position), m_window(window) {}

    void step(std::span<const float> q, std::span<const float> k, std::span<const float> v,
              std::span<float> o) override {
        const std::int64_t row = m_heads * m_width;
        if (m_window > 0 && m_tokens >= m_window) {  // the oldest makes room
            std::copy_n(k.begin(), row, m_keys.begin() + m_tokens % m_window * row);
            std::copy_n(v.begin(), row, m_values.begin() + m_tokens % m_window * row);
        } else {
            m_keys.insert(m_keys.end(), k.begin(), k.end());
            m_values.insert(m_values.end(), v.begin(), v.end());
        }
        ++m_tokens;
        const std::int64_t held = static_cast<std::int64_t>(m_keys.size()) / row;
        m_scores.resize(static_cast<std::size_t>(m_heads * scoresOf(held)));
        if (held < kParallelFrom)
            for (std::int64_t h = 0; h < m_heads; ++h) attend(h, held, q, o);
        else
            parallelItems(m_heads, [&](std::int64_t h, std::int64_t) { attend(h, held, q, o); });
    }

    std::vector<float> save() const override {
        const auto count = countToFloats(m_tokens);
        std::vector<float> numbers(count.begin(), count.end());
        numbers.insert(numbers.end(), m_keys.begin(), m_keys.end());
        numbers.insert(numbers.end(), m_values.begin(), m_values.end());
        return numbers;
    }

    void load(std::span<const float> numbers) override {
        const auto row = static_cast<std::size_t>(m_heads * m_width);
        require(numbers.size() >= 2 && (numbers.size() - 2) % (2 * row) == 0, "decoding",
                "a cache of tokens of 2 x {} numbers, but got {}", row, numbers.size());
        const std::int64_t tokens = countFromFloats(numbers);
        const std::size_t part = (numbers.size() - 2) / 2, held = part / row;
        require(held == static_cast<std::size_t>(m_window > 0 ? std::min(m_window, tokens) : tokens), "decoding",
                "the cache of {} tokens, but it holds {}", tokens, held);
        const auto values = numbers.begin() + 2 + static_cast<std::ptrdiff_t>(part);
        m_tokens = tokens;
        m_keys.assign(numbers.begin() + 2, values);
        m_values.assign(values, numbers.end());
    }

private:
    static constexpr std::int64_t kParallelFrom = 1024;  // tokens: fewer are read before other threads are awake

    /// Room for one head's scores: each begins as aligned as the first, so that sums have one order.
    static std::int64_t scoresOf(std::int64_t held) { return (held + 15) / 16 * 16; }

    void attend(std::int64_t h, std::int64_t held, std::span<const float> q, std::span<float> o) {
        const std::int64_t row = m_heads * m_width;
        const float scale = 1.0f / std::sqrt(static_cast<float>(m_width));
        const Eigen::Map<const Eigen::VectorXf> query(q.data() + h * m_width, m_width);
        using Rows = Eigen::Map<const Eigen::MatrixXf, 0, Eigen::OuterStride<>>;  // [D, held], a column a token
        const Rows keys(m_keys.data() + h * m_width, m_width, held, Eigen::OuterStride<>(row));
        const Rows values(m_values.data() + h * m_width, m_width, held, Eigen::OuterStride<>(row));
        Eigen::Map<Eigen::VectorXf> p(m_scores.data() + h * scoresOf(held), held);
        p.noalias() = keys.transpose() * query;
        p *= scale;
        if (m_position.hasTerms())
            for (std::int64_t slot = 0; slot < held; ++slot) p[slot] += m_position.past(h, distanceOf(slot));
        p = (p.array() - p.maxCoeff()).exp();
        Eigen::Map<Eigen::VectorXf>(o.data() + h * m_width, m_width).noalias() = values * p / p.sum();
    }

    /// How many places the token in `slot` lies behind the newest.
    std::int64_t distanceOf(std::int64_t slot) const {
        const std::int64_t newest = m_tokens - 1;
        return m_window > 0 ? (newest % m_window - slot + m_window) % m_window : newest - slot;
    }

    std::int64_t m_heads, m_width;
    const SoftmaxPosition& m_position;
    std::int64_t m_window, m_tokens = 0;
    AlignedFloats m_keys, m_values, m_scores;  // [held,H,D], [held,H,D], [H,scoresOf(held)]
};

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

std::unique_ptr<DecodingState> startCachedDecoding(const AttentionSizes& sizes, const SoftmaxPosition& position,
                                                   std::int64_t window) {
    return std::make_unique<CachedDecoding>(sizes, position, window);
}

}  // namespace linscope
