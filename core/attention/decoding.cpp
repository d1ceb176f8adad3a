#include "core/attention/decoding.h"

#include <cmath>

#include "core/autograd/tape.h"
#include "core/base/error.h"

namespace linscope {
namespace {

constexpr std::int64_t kBits = 20, kHalf = (std::int64_t{1} << kBits) - 1;

}  // namespace

Variable DecodingState::read(const Variable& q, const Variable& k, const Variable& v) {
    const Shape& s = q.shape();
    const auto row = static_cast<std::size_t>(s[2] * s[3]);
    const Variable o = q.tape().result(s, q.type(), q);
    const std::span<const float> queries = q.value().span<float>(), keys = k.value().span<float>(),
                                 values = v.value().span<float>();
    for (std::size_t at = 0; at < queries.size(); at += row)
        step(queries.subspan(at, row), keys.subspan(at, row), values.subspan(at, row),
             o.value().span<float>().subspan(at, row));
    return o;
}

void checkCarried(const Variable& q, std::span<const float> state, std::int64_t numbers) {
    require(q.shape()[0] == 1 && q.type() == DType::F32 && !q.value().onDevice() && !q.tape().recording(), "decoding",
            "one sequence in single precision on the processor, of which nothing is recorded, but got another {}",
            q.shape().text());
    require(static_cast<std::int64_t>(state.size()) == numbers, "decoding", "a state of {} numbers, but got {}",
            numbers, state.size());
}

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
