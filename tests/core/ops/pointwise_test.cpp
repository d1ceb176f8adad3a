#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/ops/elementwise.h"
#include "core/ops/embedding.h"
#include "core/ops/pointwise.h"
#include "tests/core/ops/check_gradients.h"

namespace linscope {
namespace {

using test::checkGradients;
using testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Constants of the tests, which outlive every tape.
Tensor constants(const Shape& shape, const std::vector<double>& values) {
    static Arena arena;
    const Tensor tensor = arena.tensor(shape, DType::F64);
    std::ranges::copy(values, tensor.as<double>());
    return tensor;
}

/// A leaf whose gradient starts at zero.
Variable leaf(Tape& tape, const Shape& shape, const std::vector<double>& values) {
    return tape.leaf(constants(shape, values), tape.arena().zeros(shape, DType::F64));
}

TEST(Gradient, Pointwise) {
    checkGradients({{2, 3}}, [](const auto& in) {  // a slope from x, and one from y
        return pointwise(
            in[0], [](auto x) { return x * x * x; }, [](auto x, auto) { return 3 * x * x; });
    });
    checkGradients({{2, 3}}, [](const auto& in) {
        return pointwise(
            in[0], [](auto x) { return std::exp(x); }, [](auto, auto y) { return y; });
    });
}

TEST(Gradient, Multiply) {
    checkGradients({{2, 3}, {2, 3}}, [](const auto& in) { return multiply(in[0], in[1]); });
    checkGradients({{2, 3}}, [](const auto& in) { return multiply(in[0], in[0]); });
}

TEST(Gradient, MultiplyLeavesConstantsAlone) {
    Arena arena(true);
    Tape tape(arena);
    const Variable x = leaf(tape, {2}, {3, 5}), c = tape.constant(constants({2}, {7, 11}));
    tape.backward(multiply(c, x));
    EXPECT_THAT(x.gradient().span<double>(), ElementsAre(7, 11));
    EXPECT_TRUE(c.gradient().empty());
}

TEST(Gradient, Constants) {
    static const Tensor c = constants({3, 2}, {1, -2, 0.5, 0, 3, 1});
    for (const Shape& shape : {Shape{3, 2}, Shape{4, 3, 2}, Shape{2, 2, 3, 2}}) {
        checkGradients({shape}, [](const auto& in) { return addConstant(in[0], c); });
        checkGradients({shape}, [](const auto& in) { return multiplyConstant(in[0], c); });
    }
}

TEST(MultiplyConstant, ZeroTimesNanIsZero) {
    Arena arena(true);
    Tape tape(arena);
    const Variable x = leaf(tape, {2, 2}, {kNan, 3, HUGE_VAL, 5});
    const Variable y = multiplyConstant(x, constants({2}, {0, 2}));
    EXPECT_THAT(y.value().span<double>(), ElementsAre(0, 6, 0, 10));
    tape.backward(y, constants({2, 2}, {kNan, 1, kNan, 1}));
    EXPECT_THAT(x.gradient().span<double>(), ElementsAre(0, 2, 0, 2));
}

TEST(Gradient, Rows) {
    checkGradients({{2, 3, 4}}, [](const auto& in) { return sumLast(in[0]); });
    checkGradients({{2, 3, 4}, {2, 3, 1}}, [](const auto& in) { return multiplyRows(in[0], in[1]); });
    checkGradients({{3, 4}}, [](const auto& in) { return multiplyRows(in[0], sumLast(in[0])); });
}

TEST(Gradient, SliceAndConcatenate) {
    for (const auto& [begin, count] : {std::pair{0, 2}, std::pair{1, 3}, std::pair{4, 1}, std::pair{0, 5}})
        checkGradients({{2, 5, 3}}, [=](const auto& in) { return slice(in[0], begin, count); });
    checkGradients({{3, 4}}, [](const auto& in) { return slice(in[0], 1, 2); });
    checkGradients({{2, 1, 3}, {2, 4, 3}, {2, 2, 3}}, [](const auto& in) { return concatenate(in); });
    checkGradients({{2, 3}}, [](const auto& in) {  // one part twice
        return concatenate(std::vector{in[0], scale(in[0], 2), in[0]});
    });
}

TEST(Concatenate, UndoesSlices) {
    Arena arena(true);
    Tape tape(arena);
    const Variable x = leaf(tape, {2, 3, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
    const Variable first = slice(x, 0, 1), rest = slice(x, 1, 2);
    EXPECT_THAT(first.value().span<double>(), ElementsAre(0, 1, 6, 7));
    EXPECT_THAT(rest.value().span<double>(), ElementsAre(2, 3, 4, 5, 8, 9, 10, 11));
    EXPECT_THAT(concatenate(std::vector{first, rest}).value().span<double>(),
                testing::ElementsAreArray(x.value().span<double>()));
    const Variable constant = tape.constant(constants({2, 1, 2}, {1, 1, 1, 1}));
    tape.backward(concatenate(std::vector{constant, first}));  // only one part has a gradient
    EXPECT_THAT(x.gradient().span<double>(), ElementsAre(1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0));
}

TEST(Gradient, MeanTokens) {
    static const std::vector<float> keep{1, 0, 1, 1, 0, 0, 0, 0}, none(8, 0.0f);
    checkGradients({{2, 4, 3}}, [](const auto& in) { return meanTokens(in[0], {}); });
    checkGradients({{2, 4, 3}}, [](const auto& in) { return meanTokens(in[0], keep); });
    checkGradients({{2, 4, 3}}, [](const auto& in) { return meanTokens(in[0], none); });
}

TEST(MeanTokens, SkipsPaddingWhateverItHolds) {
    Arena arena(true);
    Tape tape(arena);
    const Variable x = leaf(tape, {2, 3, 1}, {2, kNan, 4, kNan, kNan, kNan});
    const std::vector<float> keep{1, 0, 1, 0, 0, 0};
    const Variable y = meanTokens(x, keep);
    EXPECT_THAT(y.value().span<double>(), ElementsAre(3, 0));
    tape.backward(y);
    EXPECT_THAT(x.gradient().span<double>(), ElementsAre(0.5, 0, 0.5, 0, 0, 0));
}

TEST(Gradient, EmbeddingWithoutPositions) {
    static const std::vector<std::int32_t> tokens{0, 2, 2, 1, 0, 2};
    checkGradients({{4, 3}}, [](const auto& in) { return embed(tokens, 2, 3, in[0], {}); });
}

TEST(Shapes, OfPlainOperationsThatDisagreeAreRefused) {
    Arena arena;
    Tape tape(arena);
    const auto of = [&](const Shape& shape) { return tape.constant(arena.zeros(shape)); };
    EXPECT_THROW(multiply(of({2}), of({3})), Error);
    EXPECT_THROW(addConstant(of({2, 3}), arena.zeros({2})), Error);
    EXPECT_THROW(multiplyConstant(of({3}), arena.zeros({2, 3})), Error);
    EXPECT_THROW(multiplyConstant(of({3}), arena.zeros({3}, DType::F64)), Error);
    EXPECT_THROW(multiplyRows(of({2, 3}), of({2})), Error);
    EXPECT_THROW(slice(of({2, 3}), 2, 2), Error);
    EXPECT_THROW(slice(of({2, 3}), -1, 2), Error);
    EXPECT_THROW(slice(of({2, 3}), 0, 0), Error);
    EXPECT_THROW(concatenate({}), Error);
    EXPECT_THROW(concatenate(std::vector{of({2, 3, 4}), of({2, 3, 5})}), Error);
    EXPECT_THROW(concatenate(std::vector{of({2, 3}), of({1, 3})}), Error);
}

}  // namespace
}  // namespace linscope
