#pragma once

#include "core/attention/mechanism.h"

namespace linscope {

/// Of the norm of the outputs: theirs have a mean square of about D⁻², q and k being of length 1.
inline constexpr double kDeltaEpsilon = 1e-5;

struct GatedDeltaOptions {
    std::string gate = "learned";
    double betaMax = 1;
    bool normalise = true;
    std::int64_t chunk = 64;
    void visit(OptionVisitor& visitor);
};

/// The gates of one layer, one of each for a head: β = beta_max·σ(⟨w_β, k⟩ + b_β), α = σ(⟨w_α, k⟩ + b_α).
struct DeltaGates {
    const Parameter* betaWeight = nullptr;   // [H,D]
    const Parameter* betaBias = nullptr;     // [H]
    const Parameter* alphaWeight = nullptr;  // [H,D], null: α = 1
    const Parameter* alphaBias = nullptr;    // [H]
};

/// forward() of one layer with its gates; `carried` as deltaRule() has it.
Variable gatedDelta(const DeltaGates& gates, const GatedDeltaOptions& options, const AttentionInput& input,
                    std::span<float> carried = {});

/// Gated DeltaNet (Yang et al. 2024, arXiv:2412.06464, §3.1): S_t = α_t·(I − β_t·k_t·k_tᵀ)·S_{t−1} + β_t·k_t·v_tᵀ,
/// o_t = D^−½·S_tᵀ·q_t with q and k of length 1, then each head's output divided by its root mean square. With
/// gate "none" (α = 1) it is DeltaNet (Yang et al. 2024, arXiv:2406.06484). Causal alone.
///
/// In the papers the gates are functions of the layer's input; a mechanism here sees q, k and v alone, and so they
/// are functions of the head's key before it is normalised.
///
/// At a padded place nothing is read, written or forgotten (α = 1): there is no key that a gate could be read from.
class GatedDeltaAttention : public Mechanism {
public:
    GatedDeltaAttention(const GatedDeltaOptions& options, const AttentionSizes& sizes, ParameterStore& parameters);

protected:
    Variable forwardImpl(const AttentionInput& input) const override;
    Variable naiveImpl(const AttentionInput& input) const override;
    std::unique_ptr<DecodingState> startDecodingImpl(int layer) const override;

private:
    GatedDeltaOptions m_options;
    std::vector<DeltaGates> m_gates;  // [layers]
};

}  // namespace linscope
