#pragma once

#include "core/cuda/launch.cuh"

// GELU as core/ops/gelu.h has it, number by number.

namespace linscope::cuda {

struct GeluParts {
    float value, slope;
};

/// gelu(x) and gelu'(x). ½(1 + tanh u) is 1/(1 + e^(−2u)), u = √(2/π)(x + 0.044715x³), which keeps its digits where
/// tanh is nearly −1, and takes two instructions of the units for such functions.
__device__ inline GeluParts geluParts(float x) {
    constexpr float kScale = 2 * 0.7978845608028654f, kCubic = 0.044715f, kLog2e = 1.4426950408889634f;
    const float square = x * x;
    const float share = reciprocal(1.0f + powerOfTwo(-kScale * kLog2e * x * (1.0f + kCubic * square)));
    const float value = x * share;
    return {value, share + (value - value * share) * kScale * (1.0f + 3 * kCubic * square)};
}

struct Gelu {
    __device__ float operator()(float x, float) const { return geluParts(x).value; }
};
struct GeluBack {
    __device__ float operator()(float x, float dy) const { return dy * geluParts(x).slope; }
};

}  // namespace linscope::cuda
