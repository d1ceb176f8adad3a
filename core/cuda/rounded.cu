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

namespace {
void copyRounded(DeviceContext& context, const Tensor& from, const Tensor& to) {
    roundInto(context, from.onDeviceAs<float>(), to.onDeviceAs<Bf16>(), from.elements());
}
}  // namespace

Tensor rounded(Arena& arena, const Tensor& x) {
    if (x.type() == DType::BF16) return x;
    const Tensor copy = arena.tensor(x.shape(), DType::BF16);
    copyRounded(*arena.context(), x, copy);
    return copy;
}

Tensor roundedOf(const Variable& x) {
    VariableState& state = *x.state();
    if (state.rounded.empty()) state.rounded = rounded(state.tape->arena(), state.value);
    return state.rounded;
}

Tensor roundedGradientOf(const Variable& y) {
    VariableState& state = *y.state();
    if (state.gradient.type() == DType::BF16) return state.gradient;
    if (state.roundedGradient.empty()) {
        const Tensor copy = roundedRoomOf(y);
        copyRounded(*state.tape->arena().context(), state.gradient, copy);
        state.roundedGradient = copy;
    }
    return state.roundedGradient;
}

Tensor roundedRoomOf(const Variable& x) {
    const GradientRoom* room = x.state()->room;
    if (room == nullptr) return x.tape().arena().tensor(x.shape(), DType::BF16);
    x.tape().arena().context()->claim(room->rounded);
    return room->rounded;
}

Tensor sumsRoomOf(const Variable& x, std::int64_t rows) {
    const GradientRoom* room = x.state()->room;
    const Shape shape{rows, x.shape()[-1]};
    if (room == nullptr) return x.tape().arena().tensor(shape);
    if (rows > room->sums.shape()[0]) return {};
    x.tape().arena().context()->claim(room->sums);
    return {room->sums.raw(), shape, DType::F32, Device::Cuda};
}

DType productType(Arena& arena) {
    return arena.context()->precision() == Precision::Bf16 ? DType::BF16 : DType::F32;
}

}  // namespace linscope::cuda
