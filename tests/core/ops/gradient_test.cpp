#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/ops/cross_entropy.h"
#include "core/ops/elementwise.h"
#include "core/ops/embedding.h"
#include "core/ops/layer_norm.h"
#include "core/ops/linear.h"
#include "core/ops/matmul.h"
#include "core/ops/softmax.h"
#include "tests/core/ops/check_gradients.h"

namespace linscope {
namespace {

using test::checkGradients;

TEST(Gradient, Linear) {
    checkGradients({{2, 3, 4}, {5, 4}, {5}}, [](const auto& in) { return linear(in[0], in[1], in[2]); });
}

TEST(Gradient, LinearWithGelu) {
    checkGradients({{2, 3, 4}, {5, 4}, {5}},
                   [](const auto& in) { return linear(in[0], in[1], in[2], Activation::Gelu); });
}

TEST(Gradient, LayerNorm) {
    checkGradients({{3, 2, 6}, {6}, {6}}, [](const auto& in) { return layerNorm(in[0], in[1], in[2]); });
}

TEST(Gradient, Softmax) {
    checkGradients({{2, 3, 5}}, [](const auto& in) { return softmax(in[0]); });
}

TEST(Gradient, SoftmaxWithPadding) {
    static const std::vector<float> keep{1, 1, 0, 1, 0, 1, 1, 1};
    checkGradients({{2, 3, 4}}, [](const auto& in) { return softmax(in[0], keep); });
}

TEST(Gradient, Matmul) {
    for (const bool ta : {false, true})
        for (const bool tb : {false, true}) {
            const auto product = [=](const auto& in) { return matmul(in[0], in[1], {ta, tb}); };
            const Shape a = ta ? Shape{4, 3} : Shape{3, 4}, b = tb ? Shape{2, 2, 5, 4} : Shape{2, 2, 4, 5};
            checkGradients({a, b}, product);                   // one a for all
            checkGradients({{2, a[0], a[1]}, b}, product);     // one a for each of the inner
            checkGradients({{2, 2, a[0], a[1]}, b}, product);  // one each
        }
}

TEST(Gradient, Elementwise) {
    checkGradients({{2, 3, 4, 2}}, [](const auto& in) { return swapMiddle(in[0]); });
    checkGradients({{3, 5}}, [](const auto& in) { return firstColumns(in[0], 3); });
    checkGradients({{3, 4}, {3, 4}}, [](const auto& in) { return add(in[0], reshape(scale(in[1], -2), {3, 4})); });
    checkGradients({{2, 3}, {2, 3}}, [](const auto& in) { return stack(in); });
    static const std::vector<float> factors{1, 0, 0.5f};
    checkGradients({{3, 4}}, [](const auto& in) { return scaleRows(in[0], factors); });
}

TEST(Gradient, EmbeddingAndSelection) {
    static const std::vector<std::int32_t> tokens{0, 2, 2, 1, 0, 2};
    static const std::vector<std::int64_t> rows{4, 0, 4};
    checkGradients({{3, 4}, {5, 4}}, [](const auto& in) { return embed(tokens, 2, 3, in[0], in[1]); });
    checkGradients({{2, 3, 2}}, [](const auto& in) { return selectRows(in[0], rows); });
}

TEST(Gradient, CrossEntropy) {
    static const std::vector<std::int32_t> targets{1, 0, 3};
    checkGradients({{3, 4}}, [](const auto& in) { return crossEntropy(in[0], targets).loss; });
}

TEST(CrossEntropy, CountsHitsAndKnowsTheUniformLoss) {
    Arena arena;
    Tape tape(arena);
    const Tensor logits = arena.zeros({2, 4});
    logits.as<float>()[2] = 1;
    const std::vector<std::int32_t> targets{2, 3};
    const CrossEntropy result = crossEntropy(tape.constant(logits), targets);
    EXPECT_DOUBLE_EQ(result.accuracy, 0.5);
    const double first = std::log(3 + std::exp(1.0)) - 1;
    EXPECT_NEAR(result.loss.value().as<float>()[0], (first + std::log(4.0)) / 2, 1e-6);
    const std::vector<std::int32_t> wrong{2, 4};
    EXPECT_THROW(crossEntropy(tape.constant(logits), wrong), Error);
}

TEST(Shapes, ThatDisagreeAreRefused) {
    Arena arena;
    Tape tape(arena);
    const auto of = [&](const Shape& shape) { return tape.constant(arena.zeros(shape)); };
    EXPECT_THROW(matmul(of({2, 3}), of({4, 5})), Error);
    EXPECT_THROW(add(of({2}), of({3})), Error);
    EXPECT_THROW(linear(of({2, 3}), of({4, 5}), of({4})), Error);
    EXPECT_THROW(of({2, 3}).value().reshaped({7}), Error);
    EXPECT_THROW(of({2}).value().as<double>(), Error);
}

}  // namespace
}  // namespace linscope
