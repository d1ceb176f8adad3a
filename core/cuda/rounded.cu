#include "core/cuda/rounded.h"

#include "core/autograd/tape.h"
#include "core/cuda/launch.cuh"

namespace linscope::cuda {

void roundInto(DeviceContext& context, const float* from, Bf16* to, std::int64_t count) {
    // Views may begin anywhere.
    const bool aligned = reinterpret_cast<std::uintptr_t>(from) % 16 == 0;
    const std::int64_t eights = aligned ? count / 8 : 0, done = eights * 8;
    forEach(context.stream(), eights, "rounding", [=] __device__(std::int64_t i) {
        const float4 low = reinterpret_cast<const float4*>(from)[2 * i],
                     high = reinterpret_cast<const float4*>(from)[2 * i + 1];
        reinterpret_cast<uint4*>(to)[i] = {packBf16(low.x, low.y), packBf16(low.z, low.w), packBf16(high.x, high.y),
                                           packBf16(high.z, high.w)};
    });
    forEach(context.stream(), count - done, "rounding",
            [=] __device__(std::int64_t i) { to[done + i] = toBf16(from[done + i]); });
}

Tensor rounded(Arena& arena, const Tensor& x) {
    if (x.type() == DType::BF16) return x;
    const Tensor copy = arena.tensor(x.shape(), DType::BF16);
    roundInto(*arena.context(), x.onDeviceAs<float>(), copy.onDeviceAs<Bf16>(), x.elements());
    return copy;
}

Tensor roundedOf(const Variable& x) {
    VariableState& state = *x.state();
    if (state.rounded.empty()) state.rounded = rounded(state.tape->arena(), state.value);
    return state.rounded;
}

Tensor roundedGradientOf(const Variable& y) {
    VariableState& state = *y.state();
    if (state.roundedGradient.empty()) state.roundedGradient = rounded(state.tape->arena(), state.gradient);
    return state.roundedGradient;
}

DType productType(Arena& arena) {
    return arena.context()->precision() == Precision::Bf16 ? DType::BF16 : DType::F32;
}

}  // namespace linscope::cuda
