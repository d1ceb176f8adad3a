#pragma once

#include "core/attention/feature_attention.h"
#include "core/attention/mechanism.h"
#include "core/attention/performer/draw.h"
#include "core/attention/projected_features.h"

namespace linscope {

struct PerformerOptions {
    std::string features = "positive";
    std::string draw = "orthogonal";
    std::int64_t m = 128;
    std::int64_t redraw = 1000;
    void visit(OptionVisitor& visitor);
    Projected kind() const;
    Draw drawKind() const;
};

/// Performer (Choromanski et al. 2020, arXiv:2009.14794, FAVOR+): softmax attention estimated with random features.
/// With x = q/D^¼, y = k/D^¼ and directions ω_r [M,D] of each layer and head,
///
///     e^(qᵀk/√D) = e^(xᵀy) ≈ φ(x)ᵀφ(y),
///     positive       φ_r = M^−½·e^(ω_rᵀx − |x|²/2)                   (Lemma 1)
///     hyperbolic     φ   = (2M)^−½·(e^(ω_rᵀx), e^(−ω_rᵀx))·e^(−|x|²/2)  (Lemma 1)
///     trigonometric  φ   = M^−½·(cos ω_rᵀx, sin ω_rᵀx)·e^(|x|²/2)    (§2.3; signed)
///     relu           φ_r = max(ω_rᵀx, 0) + ε, a kernel of its own    (§2.2, "generalised attention")
///
/// The weights of trigonometric features may be negative and their sum may be 0: where |q|² and |k|² are not small
/// against √D, rows come out arbitrarily large (App. D.3 there), and here they do so too.
///
/// ω are buffers, named "omega" for probes; they never train, and are drawn anew every `redraw` steps from the seed
/// and the step alone.
class PerformerAttention : public Mechanism {
public:
    PerformerAttention(const PerformerOptions& options, const AttentionSizes& sizes, ParameterStore& parameters);
    std::string beforeStep(std::int64_t step) override;
    bool takesBf16() const override { return true; }

protected:
    Variable forwardImpl(const AttentionInput& input) const override;
    Variable naiveImpl(const AttentionInput& input) const override;
    std::unique_ptr<DecodingState> startDecodingImpl(int layer) const override;

private:
    FeatureAttentionOptions options(const AttentionInput& input) const;
    /// Fills ω with the draw of that number; 0 is the first.
    void draw(std::int64_t number);

    PerformerOptions m_options;
    std::uint64_t m_seed;
    std::vector<double> m_slopes;           // [H] or empty
    std::vector<Parameter*> m_omega;        // [layers·H]
    std::vector<ProjectedFeatures> m_maps;  // [layers]
};

/// What is known of the estimates of the softmax kernel (Choromanski et al. 2020, arXiv:2009.14794, Lemma 2, Theorems 1
/// and 2), at two vectors of width 4.
std::vector<TheoryResult> performerTheory();

}  // namespace linscope
