#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/attention/aligned_floats.h"
#include "core/attention/feature_attention.h"
#include "core/base/error.h"

namespace linscope {
namespace {

using Vector = Eigen::Map<Eigen::VectorXf>;
using State = Eigen::Map<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

using Memory = FeatureMemory<float>;

class FeatureDecoding : public DecodingState {
public:
    FeatureDecoding(const FeatureMap& map, const AttentionSizes& sizes, std::span<const double> slopes,
                    Normaliser normaliser)
        : m_map(map),
          m_heads(sizes.heads),
          m_width(sizes.headWidth),
          m_slopes(slopes),
          m_normaliser(normaliser),
          m_numbers(static_cast<std::size_t>(m_heads * Memory::size(map.features(), m_width)), 0.0f),
          m_phiQ(static_cast<std::size_t>(map.features())),
          m_phiK(m_phiQ.size()) {
        for (std::int64_t h = 0; h < m_heads; ++h) *memoryOf(h).top = Memory::kNothing;
    }

    void step(std::span<const float> q, std::span<const float> k, std::span<const float> v,
              std::span<float> o) override {
        const std::int64_t M = m_map.features();
        for (std::int64_t h = 0; h < m_heads; ++h) {
            float logWeight = 0;
            FeatureBlock<float> block{.head = h, .rows = 1, .width = m_width, .stride = m_width};
            block.x = q.data() + h * m_width;
            block.phi = m_phiQ.data();
            m_map.forward(block);
            block.keys = true;
            block.x = k.data() + h * m_width;
            block.phi = m_phiK.data();
            block.logWeights = &logWeight;
            m_map.forward(block);

            const Memory memory = memoryOf(h);
            float& top = *memory.top;
            if (!m_slopes.empty() && top != Memory::kNothing)
                top -= static_cast<float>(m_slopes[static_cast<std::size_t>(h)]);
            const float higher = std::max(top, logWeight);
            const float old = std::exp(top - higher), young = std::exp(logWeight - higher);
            top = higher;
            State state(memory.state, M, m_width);
            Vector sum(memory.sum, M);
            const Vector phiQ(m_phiQ.data(), M), phiK(m_phiK.data(), M);
            const Eigen::Map<const Eigen::VectorXf> value(v.data() + h * m_width, m_width);
            state *= old;
            state.noalias() += (young * phiK) * value.transpose();
            sum = old * sum + young * phiK;
            Vector out(o.data() + h * m_width, m_width);
            out.noalias() = state.transpose() * phiQ;
            const float greatest = out.cwiseAbs().maxCoeff();
            const float divisor =
                m_normaliser == Normaliser::Sum ? phiQ.dot(sum)
                : greatest > 0 ? greatest * std::sqrt((out / greatest).squaredNorm() / static_cast<float>(m_width))
                               : 0.0f;
            out *= divisor != 0 ? 1 / divisor : 0.0f;
        }
    }

    Variable read(const Variable& q, const Variable& k, const Variable& v) override {
        return featureAttention(m_map, q, k, v,
                                {.causal = true, .slopes = m_slopes, .normaliser = m_normaliser, .carried = m_numbers});
    }

    std::vector<float> save() const override { return {m_numbers.begin(), m_numbers.end()}; }

    void load(std::span<const float> numbers) override {
        require(numbers.size() == m_numbers.size(), "decoding", "a state of {} numbers, but got {}", m_numbers.size(),
                numbers.size());
        std::ranges::copy(numbers, m_numbers.begin());
    }

private:
    Memory memoryOf(std::int64_t head) {
        const std::int64_t M = m_map.features();
        return Memory::at(m_numbers.data() + head * Memory::size(M, m_width), M, m_width);
    }

    const FeatureMap& m_map;
    std::int64_t m_heads, m_width;
    std::span<const double> m_slopes;
    Normaliser m_normaliser;
    AlignedFloats m_numbers;       // [H, Memory::size()]
    AlignedFloats m_phiQ, m_phiK;  // [M]
};

}  // namespace

std::unique_ptr<DecodingState> startFeatureDecoding(const FeatureMap& map, const AttentionSizes& sizes,
                                                    std::span<const double> slopes, Normaliser normaliser) {
    return std::make_unique<FeatureDecoding>(map, sizes, slopes, normaliser);
}

}  // namespace linscope
