#pragma once

#include <span>

#include "core/attention/mechanism.h"

namespace linscope {

struct RetentionOptions {
    double decayFrom = 5, decayStep = 1;
    bool normalise = true;
    void visit(OptionVisitor& visitor);
};

/// Retention (Sun et al. 2023, arXiv:2307.08621, §2.1–2.3): S_t = γ_h·S_{t−1} + k_t·v_tᵀ, o_t = D^−½·S_tᵀ·q_t with the
/// fixed decays γ_h = 1 − 2^−(from + step·h), then each head's output divided by its root mean square. Causal alone.
///
/// A padded key adds nothing to S, but its place counts: the decay goes on over padding, so that what lies before a
/// gap is as far away as its place says.
class RetentionAttention : public Mechanism {
public:
    RetentionAttention(const RetentionOptions& options, const AttentionSizes& sizes);

    std::span<const double> gammas() const { return m_gammas; }  // [H]

protected:
    Variable forwardImpl(const AttentionInput& input) const override;
    Variable naiveImpl(const AttentionInput& input) const override;
    std::unique_ptr<DecodingState> startDecodingImpl(int layer) const override;

private:
    std::vector<double> m_gammas;  // [H]
    bool m_normalise;
};

}  // namespace linscope
