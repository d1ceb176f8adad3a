#include "core/attention/gated_delta/delta_decoding.h"

#include <Eigen/Core>
#include <cmath>

#include "core/attention/aligned_floats.h"
#include "core/attention/head_norm.h"
#include "core/base/error.h"

namespace linscope {
namespace {

using Vector = Eigen::Map<const Eigen::VectorXf>;

class DeltaDecoding : public DecodingState {
public:
    DeltaDecoding(const DeltaGates& gates, const GatedDeltaOptions& options, const AttentionSizes& sizes)
        : m_gates(gates),
          m_options(options),
          m_heads(sizes.heads),
          m_width(sizes.headWidth),
          m_state(static_cast<std::size_t>(m_heads * m_width * m_width)),
          m_key(m_width),
          m_query(m_width),
          m_written(m_width) {}

    void step(std::span<const float> q, std::span<const float> k, std::span<const float> v,
              std::span<float> o) override {
        using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
        const float scale = 1.0f / std::sqrt(static_cast<float>(m_width));
        for (std::int64_t h = 0; h < m_heads; ++h) {
            const std::int64_t at = h * m_width;
            Eigen::Map<Matrix> state(m_state.data() + at * m_width, m_width, m_width);
            const float beta =
                static_cast<float>(m_options.betaMax) * gate(*m_gates.betaWeight, *m_gates.betaBias, h, k);
            if (m_gates.alphaWeight != nullptr) state *= gate(*m_gates.alphaWeight, *m_gates.alphaBias, h, k);
            m_key = Vector(k.data() + at, m_width);
            m_query = Vector(q.data() + at, m_width);
            normaliseRow(m_key.data(), m_width, unitNorm());
            normaliseRow(m_query.data(), m_width, unitNorm());
            m_written.noalias() = -(state.transpose() * m_key);
            m_written += Vector(v.data() + at, m_width);
            state.noalias() += beta * m_key * m_written.transpose();
            Eigen::Map<Eigen::VectorXf>(o.data() + at, m_width).noalias() = scale * (state.transpose() * m_query);
            if (m_options.normalise) normaliseRow(o.data() + at, m_width, rmsNorm(m_width, kDeltaEpsilon));
        }
    }

    Variable read(const Variable& q, const Variable& k, const Variable& v) override {
        return gatedDelta(m_gates, m_options, {.q = q, .k = k, .v = v}, m_state);
    }

    std::vector<float> save() const override { return {m_state.begin(), m_state.end()}; }
    void load(std::span<const float> numbers) override {
        require(numbers.size() == m_state.size(), "decoding", "a state of {} heads of {} x {} numbers, but got {}",
                m_heads, m_width, m_width, numbers.size());
        m_state.assign(numbers.begin(), numbers.end());
    }

private:
    /// σ(⟨w_h, k_h⟩ + b_h)
    float gate(const Parameter& weight, const Parameter& bias, std::int64_t h, std::span<const float> k) const {
        const float x =
            Vector(weight.value.as<float>() + h * m_width, m_width).dot(Vector(k.data() + h * m_width, m_width)) +
            bias.value.as<float>()[h];
        return 1.0f / (1.0f + std::exp(-x));
    }

    DeltaGates m_gates;
    GatedDeltaOptions m_options;
    std::int64_t m_heads, m_width;
    AlignedFloats m_state;                      // [H,D,D], rows are channels of k
    Eigen::VectorXf m_key, m_query, m_written;  // [D] of one head
};

}  // namespace

std::unique_ptr<DecodingState> startDeltaDecoding(const DeltaGates& gates, const GatedDeltaOptions& options,
                                                  const AttentionSizes& sizes) {
    return std::make_unique<DeltaDecoding>(gates, options, sizes);
}

}  // namespace linscope
