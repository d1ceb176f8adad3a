#include "core/attention/decoding.h"

#include <cmath>

#include "core/base/error.h"

namespace linscope {
namespace {

constexpr std::int64_t kBits = 20, kHalf = (std::int64_t{1} << kBits) - 1;

}  // namespace

std::array<float, 2> countToFloats(std::int64_t count) {
    return {static_cast<float>(count >> kBits), static_cast<float>(count & kHalf)};
}

std::int64_t countFromFloats(std::span<const float> numbers) {
    require(numbers.size() >= 2, "decoding", "a state that begins with a count, but it has {} numbers", numbers.size());
    for (const float half : numbers.first(2))
        require(half >= 0 && half <= static_cast<float>(kHalf) && half == std::floor(half), "decoding",
                "half of a count, a whole number from 0 to {}, but got {}", kHalf, half);
    return (static_cast<std::int64_t>(numbers[0]) << kBits) + static_cast<std::int64_t>(numbers[1]);
}

}  // namespace linscope
