#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace linscope {

/// How well conditioned a projection W [K,T] is, and how far it has moved from W₀, its value at step 0.
/// All in double, from the eigenvalues of the Gram matrix WWᵀ.
struct ProjectionHealth {
    std::vector<float> spectrum;         // [K] singular values σ₁ ≥ … ≥ σ_K ≥ 0
    double conditionNumber = 0;          ///< κ = σ₁/σ_K, capped at 1/ε of fp32 (8.4e6)
    double stableRank = 0;               ///< ‖W‖_F²/σ₁²
    double effectiveRank = 0;            ///< exp(−Σ pᵢ ln pᵢ), pᵢ = σᵢ/Σσ (Roy & Vetterli 2007)
    double frobeniusDrift = 0;           ///< ‖W−W₀‖_F/‖W₀‖_F
    double scale = 0;                    ///< α = ⟨W,W₀⟩/‖W₀‖²
    double cosine = 0;                   ///< ⟨W,W₀⟩/(‖W‖‖W₀‖)
    std::vector<float> principalAngles;  // [K] ascending, radians, between the row spaces of W and W₀
    double subspaceOverlap = 0;          ///< (1/K) Σ cos²θᵢ; K/T for unrelated subspaces
};

/// A tall W, K > T (random features: more directions than dimensions), is measured as Wᵀ: the [K] above are then [T].
/// Throws Error when sizes disagree. Values that are not finite give NaN in every field.
ProjectionHealth projectionHealth(std::span<const float> w, std::span<const float> w0, std::int64_t slots,
                                  std::int64_t length);

/// What the same measures are for an i.i.d. random matrix (Marchenko–Pastur), γ = K/T:
/// the dashed lines of every chart.
struct RandomBaseline {
    double conditionNumber = 0;   ///< (1+√γ)/(1−√γ)
    double stableRank = 0;        ///< KT/(√T+√K)²
    double effectiveRank = 0;     ///< of the Marchenko–Pastur law, by quadrature
    double overlap = 0;           ///< γ
    double largestSingular = 0;   ///< √T + √K, per unit standard deviation of the entries
    double smallestSingular = 0;  ///< √T − √K
};
RandomBaseline randomBaseline(std::int64_t slots, std::int64_t length);

}  // namespace linscope
