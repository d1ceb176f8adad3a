#pragma once

#include "core/attention/feature_maps.cuh"
#include "core/attention/projected_features.h"

// What the two passes of the maps on a device share: feature_maps_cuda.cu has the forward, feature_maps_back_cuda.cu
// the backward one.

namespace linscope::cuda {

using FeatureKind = FeatureRecipe::Kind;

/// One projection [P,D] for each head.
struct Projections {
    const float* of[kMostFeatureHeads];
    int count;  // P
};

inline Projections projectionsOf(const FeatureRecipe& recipe) {
    Projections all{};
    for (std::size_t h = 0; h < recipe.projections.size(); ++h)
        all.of[h] = recipe.projections[h]->onDevice.value.onDeviceAs<float>();
    all.count = static_cast<int>(recipe.projections[0]->value.shape()[0]);
    return all;
}

inline bool projects(FeatureKind kind) {
    return kind != FeatureKind::Elu && kind != FeatureKind::Relu;
}

/// function(place in [B,T,H,D], place in [B,H,T,D], token b·T + t, whether four places or one) for all numbers.
template <typename Function>
void overChannels(cudaStream_t stream, const FeatureSizes& s, const char* name, const Function& function) {
    const bool fours = s.width % 4 == 0;
    forEach(stream, s.rows() * s.width / (fours ? 4 : 1), name, [=] __device__(std::int64_t i) {
        const auto at = static_cast<unsigned>(i) * (fours ? 4u : 1u), width = static_cast<unsigned>(s.width),
                   heads = static_cast<unsigned>(s.heads), length = static_cast<unsigned>(s.length);
        const unsigned row = at / width, d = at % width, h = row % heads, token = row / heads, b = token / length;
        function(at, (static_cast<std::int64_t>(b * heads + h) * length + token % length) * width + d, token, fours);
    });
}

}  // namespace linscope::cuda
