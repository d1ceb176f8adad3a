#pragma once

#include "core/cuda/launch.cuh"

// GELU as core/ops/gelu.h has it, number by number.

namespace linscope::cuda {

inline constexpr float kGeluScale = 0.7978845608028654f, kGeluCubic = 0.044715f;

/// tanh(√(2/π)(x + 0.044715x³)). The form loses digits near 0, where GELU adds 1 to it.
__device__ inline float tanhOf(float x) {
    return 1.0f - __fdividef(2.0f, 1.0f + __expf(2.0f * kGeluScale * x * (1.0f + kGeluCubic * x * x)));
}

struct Gelu {
    __device__ float operator()(float x, float) const { return 0.5f * x * (1.0f + tanhOf(x)); }
};
struct GeluBack {
    __device__ float operator()(float x, float dy) const {
        const float t = tanhOf(x);
        return dy * 0.5f * ((1.0f + t) + x * (1.0f - t * t) * kGeluScale * (1.0f + 3.0f * kGeluCubic * x * x));
    }
};

}  // namespace linscope::cuda
