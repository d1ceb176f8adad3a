#pragma once

#include <type_traits>

#include "core/autograd/variable.h"
#include "core/tensor/arena.h"

namespace linscope {
class DeviceContext;
}

namespace linscope::cuda {

// With precision "bf16" the factors of products are in bfloat16. What only products read has that type from the start;
// anything else has a copy of it, which is made once.

/// x in bfloat16: x itself, or a copy.
Tensor rounded(Arena& arena, const Tensor& x);
/// The same of a variable, which remembers the copy.
Tensor roundedOf(const Variable& x);
/// A variable's numbers as float, or in bfloat16.
template <typename Number>
const Number* numbersOf(const Variable& x) {
    if constexpr (std::is_same_v<Number, float>)
        return x.value().onDeviceAs<float>();
    else
        return roundedOf(x).onDeviceAs<Bf16>();
}
/// y's gradient in bfloat16: itself, the copy that whoever computed it has left, or a new one.
Tensor roundedGradientOf(const Variable& y);
/// Memory for x's gradient in bfloat16, and for so many rows that have its sum; the latter empty where there is no
/// room.
Tensor roundedRoomOf(const Variable& x);
Tensor sumsRoomOf(const Variable& x, std::int64_t rows);
/// `count` numbers of the device, as they are when the context comes to it.
void roundInto(DeviceContext& context, const float* from, Bf16* to, std::int64_t count);
/// The type of a value that only products read: BF16 with that precision, else F32.
DType productType(Arena& arena);

}  // namespace linscope::cuda
