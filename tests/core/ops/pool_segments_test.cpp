#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "core/attention/linformer/pool.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "tests/core/ops/check_gradients.h"

namespace linscope {
namespace {

using test::checkGradients;

TEST(Gradient, PoolSegments) {
    static const std::vector<float> keep{1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 0, 1, 1, 1}, none(14, 0.0f);
    const Segments segments{.length = 7, .slots = 3};  // of 2, 2 and 3
    for (const std::int64_t parts : {1, 2})
        for (const auto& mask : {std::vector<float>{}, keep, none}) {
            const auto pool = [&](const auto& in) { return poolSegments(in[0], in[1], segments, mask); };
            checkGradients({{2, 7, 2, 3}, {parts, 3}}, pool);
        }
    const auto shorter = [&](const auto& in) { return poolSegments(in[0], in[1], segments); };
    for (const std::int64_t length : {1, 2, 3, 6}) checkGradients({{2, length, 2, 2}, {2, 3}}, shorter);
}

TEST(PoolSegments, WeighsTheTokensOfASegment) {
    Arena arena(true);
    Tape tape(arena);
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    std::vector<double> x{1, 2, kNan, 4, 5}, kernel{1, 10, 100};
    const Variable y = poolSegments(tape.constant({x.data(), {1, 5, 1, 1}, DType::F64}),
                                    tape.constant({kernel.data(), {1, 3}, DType::F64}), {.length = 7, .slots = 3},
                                    std::vector<float>{1, 1, 0, 1, 1});
    EXPECT_THAT(y.value().span<double>(), testing::ElementsAre(21, 40, 5));
}

TEST(PoolSegments, CountsWhatIsThere) {
    Arena arena(true);
    Tape tape(arena);
    const Segments segments{.length = 7, .slots = 3};
    const Variable x = tape.constant(arena.zeros({2, 5, 1, 1}));
    EXPECT_THAT(segmentShares(x, segments, {}).counts, testing::ElementsAre(2, 2, 1, 2, 2, 1));
    EXPECT_THAT(segmentShares(x, segments, std::vector<float>{1, 0, 0, 0, 1, 1, 1, 1, 1, 0}).counts,
                testing::ElementsAre(1, 0, 1, 2, 2, 0));
}

TEST(PoolSegments, RefusesKernelsOfAnotherLengthOrNumber) {
    Arena arena;
    Tape tape(arena);
    const auto of = [&](const Shape& shape) { return tape.constant(arena.zeros(shape)); };
    const Segments segments{.length = 7, .slots = 3};
    EXPECT_THROW(poolSegments(of({1, 7, 2, 2}), of({1, 2}), segments), Error);
    EXPECT_THROW(poolSegments(of({1, 7, 3, 2}), of({2, 3}), segments), Error);
    EXPECT_THROW(poolSegments(of({1, 8, 2, 2}), of({1, 3}), segments), Error);
}

}  // namespace
}  // namespace linscope
