#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "core/attention/aligned_floats.h"
#include "core/attention/softmax_attention.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"

namespace linscope {
namespace {

class CachedDecoding : public DecodingState {
public:
    CachedDecoding(const AttentionSizes& sizes, const SoftmaxPosition& position, std::int64_t window)
        : m_heads(sizes.heads), m_width(sizes.headWidth), m_position(position), m_window(window) {}

    void step(std::span<const float> q, std::span<const float> k, std::span<const float> v,
              std::span<float> o) override {
        remember(k, v);
        const std::int64_t held = this->held();
        m_scores.resize(static_cast<std::size_t>(m_heads * scoresOf(held)));
        if (held < kParallelFrom)
            for (std::int64_t h = 0; h < m_heads; ++h) attend(h, held, q, o);
        else
            parallelItems(m_heads, [&](std::int64_t h, std::int64_t) { attend(h, held, q, o); });
    }

    Variable read(const Variable& q, const Variable& k, const Variable& v) override {
        const std::int64_t past = m_window > 0 ? std::min(held(), m_window - 1) : held();
        const std::span<const float> keys = k.value().span<float>(), values = v.value().span<float>();
        const auto row = static_cast<std::size_t>(m_heads * m_width);
        Variable seenKeys, seenValues;
        if (m_window > 0) {  // what is seen of the ring is put in order, before some of it makes room
            seenKeys = inOrder(m_keys, past, k);
            seenValues = inOrder(m_values, past, v);
        }
        for (std::size_t at = 0; at < keys.size(); at += row) remember(keys.subspan(at, row), values.subspan(at, row));
        if (m_window == 0) {
            const Shape all{1, m_tokens, m_heads, m_width};
            seenKeys = q.tape().constant(Tensor(m_keys.data(), all, DType::F32));
            seenValues = q.tape().constant(Tensor(m_values.data(), all, DType::F32));
        }
        return linscope::attend(q, seenKeys, seenValues,
                                m_position.options(q.tape(), {.causal = true, .window = m_window, .past = past}));
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

    std::int64_t held() const { return static_cast<std::int64_t>(m_keys.size()) / (m_heads * m_width); }

    /// The next token's k and v [H,D], in a window in the place of the oldest.
    void remember(std::span<const float> k, std::span<const float> v) {
        if (m_window > 0 && m_tokens >= m_window) {
            const std::int64_t at = m_tokens % m_window * m_heads * m_width;
            std::ranges::copy(k, m_keys.begin() + at);
            std::ranges::copy(v, m_values.begin() + at);
        } else {
            m_keys.insert(m_keys.end(), k.begin(), k.end());
            m_values.insert(m_values.end(), v.begin(), v.end());
        }
        ++m_tokens;
    }

    /// The last `past` tokens of the ring and behind them x [1,n,H,D]: [1,past + n,H,D].
    Variable inOrder(const AlignedFloats& ring, std::int64_t past, const Variable& x) const {
        const std::int64_t row = m_heads * m_width;
        const Tensor all = x.tape().arena().tensor({1, past + x.shape()[1], m_heads, m_width});
        float* to = all.as<float>();
        for (std::int64_t t = m_tokens - past; t < m_tokens; ++t)
            to = std::copy_n(ring.data() + t % m_window * row, row, to);
        std::ranges::copy(x.value().span<float>(), to);
        return x.tape().constant(all);
    }

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

std::unique_ptr<DecodingState> startCachedDecoding(const AttentionSizes& sizes, const SoftmaxPosition& position,
                                                   std::int64_t window) {
    return std::make_unique<CachedDecoding>(sizes, position, window);
}

}  // namespace linscope
