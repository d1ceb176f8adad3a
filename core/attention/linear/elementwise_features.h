#pragma once

#include "core/attention/feature_map.h"

namespace linscope {

enum class Elementwise {
    Elu,     ///< x + 1 for x ≥ 0, else eˣ: elu(x) + 1 without the rounding of adding 1 to eˣ − 1
    Relu,    ///< max(x, 0) + kReluFloor
    Taylor,  ///< 1, y, y_a² /√2, y_a·y_b for a < b, with y = x/D^¼: φ(q)ᵀφ(k) = 1 + s + s²/2, s = qᵀk/√D
};

/// Features without a projection. M = D, or 1 + D + D(D+1)/2 for Taylor's.
class ElementwiseFeatures : public FeatureMapOf<ElementwiseFeatures> {
public:
    ElementwiseFeatures(Elementwise kind, std::int64_t width);

    FeatureRecipe recipe() const override;

    template <typename T>
    void map(const FeatureBlock<T>& block) const;
    template <typename T>
    void mapBack(const FeatureBlock<T>& block) const;

private:
    Elementwise m_kind;
};

}  // namespace linscope
