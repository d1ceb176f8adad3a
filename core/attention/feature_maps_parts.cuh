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

/// dφ/dx of an elementwise feature φ of x.
__device__ inline float elementwiseSlope(FeatureKind kind, float x, float feature) {
    return kind == FeatureKind::Relu ? (x > 0.0f ? 1.0f : 0.0f) : fminf(feature, 1.0f);
}
/// What a projected ReLU's feature is above where its slope is 1: the floor, as a tile has it.
template <typename Tiles>
inline constexpr float kLeastRelu = static_cast<float>(kReluFloor) * (1.0f + Tiles::kRounding);

/// Writes rows [0, rows) of a tile of `Columns` columns in bfloat16, value(i, j) of this thread's own places, to where
/// they are aligned and `stride` apart: by way of `staged`, rows of which are one warp's alone, since what threads have
/// of a row is half of what memory takes at once.
template <typename Tiles, int Columns, typename Value>
__device__ void storeStaged(Bf16* to, std::int64_t stride, int rows, Bf16* staged, const Value& value) {
    constexpr int kEights = Columns / 8, kRowsAtOnce = static_cast<int>(kWarp) / kEights,
                  kStride = Tiles::template kStride<Columns>;
    __syncwarp();
#pragma unroll
    for (int i = 0; i < Tiles::kRows; ++i)
#pragma unroll
        for (int j = 0; j < Tiles::template kWide<Columns>; j += 2)
            *reinterpret_cast<unsigned*>(staged + Tiles::row(i) * kStride + Tiles::column(j)) =
                packBf16(value(i, j), value(i, j + 1));
    __syncwarp();
    const int first = Tiles::firstRow() + Tiles::lane() / kEights, column = Tiles::lane() % kEights * 8;
#pragma unroll
    for (int n = 0; n < 8 * Tiles::kRows; n += kRowsAtOnce)
        if (const int row = first + n; row < rows)
            *reinterpret_cast<uint4*>(to + row * stride + column) =
                *reinterpret_cast<const uint4*>(staged + row * kStride + column);
}

}  // namespace linscope::cuda
