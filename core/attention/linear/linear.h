#pragma once

#include "core/attention/feature_attention.h"
#include "core/attention/mechanism.h"

namespace linscope {

struct LinearOptions {
    std::string features = "elu";
    bool normalise = true;
    void visit(OptionVisitor& visitor);
};

/// Linear attention with a kernel of its own: o_i = φ(q_i)ᵀS / φ(q_i)ᵀz (Katharopoulos et al. 2020,
/// arXiv:2006.16236, §3.2 and §3.3), S = Σ φ(k_j)v_jᵀ, z = Σ φ(k_j). φ is elu(x) + 1 (§3.2.1 there), ReLU, the
/// second-order Taylor expansion of the exponential (Arora et al. 2024, "Based", arXiv:2402.18668, §4.1) or learned,
/// e^(±Wx) (Zhang et al. 2024, "Hedgehog", arXiv:2402.04347, §4.2), W [D,D] for each layer and head, at first the
/// identity. Without `normalise` the row is divided by its root mean square instead.
class LinearAttention : public Mechanism {
public:
    LinearAttention(const LinearOptions& options, const AttentionSizes& sizes, ParameterStore& parameters);
    bool takesBf16() const override { return m_features != "taylor"; }

protected:
    Variable forwardImpl(const AttentionInput& input) const override;
    Variable naiveImpl(const AttentionInput& input) const override;
    std::unique_ptr<DecodingState> startDecodingImpl(int layer) const override;

private:
    FeatureAttentionOptions options(const AttentionInput& input) const;
    const FeatureMap& mapOf(int layer) const {
        return *m_maps[m_maps.size() == 1 ? 0 : static_cast<std::size_t>(layer)];
    }

    std::string m_features;
    Normaliser m_normaliser;
    std::vector<double> m_slopes;                     // [H] or empty
    std::vector<std::unique_ptr<FeatureMap>> m_maps;  // one for all layers, or one for each
};

}  // namespace linscope
