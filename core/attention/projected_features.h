#pragma once

#include <vector>

#include "core/attention/feature_map.h"

namespace linscope {

/// What becomes of u = W·x·scale, one W [P,D] for each head.
enum class Projected {
    Positive,       ///< e^u, M = P
    Hyperbolic,     ///< e^u and e^(−u), M = 2P
    Trigonometric,  ///< cos u and sin u, M = 2P
    Relu,           ///< max(u, 0) + kReluFloor, M = P
};

/// Added to ReLU features, so that a query whose features are all 0 gives the mean of the values and not 0/0 (as
/// Choromanski et al. 2020 have it in their code, at the same size).
inline constexpr double kReluFloor = 1e-3;

/// Features of a projection: Performer's with random W, Hedgehog's with learned W.
class ProjectedFeatures : public FeatureMapOf<ProjectedFeatures> {
public:
    /// `norm`·|scale·x|² is added to a key's log weight: −½ for the softmax kernel with exponentials, +½ with
    /// waves, 0 for a kernel of its own. The exponential maps take each row's greatest exponent out.
    ProjectedFeatures(Projected kind, std::vector<Parameter*> projections, double scale, double norm);
    std::span<Parameter* const> parameters() const override {
        return m_projections[0]->buffer ? std::span<Parameter* const>{} : m_projections;
    }

    FeatureRecipe recipe() const override;

    template <typename T>
    void map(const FeatureBlock<T>& block) const;
    template <typename T>
    void mapBack(const FeatureBlock<T>& block) const;

private:
    std::int64_t rows() const { return m_projections[0]->value.shape()[0]; }

    Projected m_kind;
    std::vector<Parameter*> m_projections;  // [H]
    double m_scale, m_norm;
};

}  // namespace linscope
