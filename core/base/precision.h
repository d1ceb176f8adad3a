#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace linscope {

/// What factors of matrix products are rounded to, to nearest, ties to even. Sums of products and states are in single
/// precision whatever this says, and so is what is no product of matrices: norms, softmax, denominators.
enum class Precision : std::uint8_t {
    Single,  ///< not at all
    Tf32,    ///< 10 bits of fraction, on tensor cores; the processor has none
    Bf16,    ///< 7 bits; on a device what products alone read is kept in this type (core/cuda/rounded.h)
};
inline constexpr std::array<const char*, 3> kPrecisionNames{"fp32", "tf32", "bf16"};
constexpr const char* nameOf(Precision precision) {
    return kPrecisionNames.at(static_cast<std::size_t>(precision));
}
/// Throws Error with the list of names.
Precision precisionOf(std::string_view name);

}  // namespace linscope
