#include "core/ops/short_convolution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "tests/core/ops/check_gradients.h"

namespace linscope {
namespace {

using test::checkGradients;

template <typename T>
Tensor randomTensor(Arena& arena, const Shape& shape, const char* stream) {
    Random random(3, stream);
    const Tensor tensor = arena.tensor(shape, dtypeOf<T>);
    for (T& x : tensor.span<T>()) x = static_cast<T>(random.normal());
    return tensor;
}

/// The sum of the header, term by term.
double defined(const Tensor& x, const Tensor& weight, bool centred, std::span<const float> keep, std::int64_t b,
               std::int64_t t, std::int64_t c) {
    const std::int64_t length = x.shape()[1], width = weight.shape()[1], taps = weight.shape()[0];
    const auto at = [&](std::int64_t u) {
        if (u < 0 || u >= length) return 0.0;
        const std::int64_t row = b * length + u;
        if (!keep.empty() && keep[static_cast<std::size_t>(row)] == 0) return 0.0;
        return x.as<double>()[row * width + c];
    };
    if (!keep.empty() && keep[static_cast<std::size_t>(b * length + t)] == 0) return 0;
    double sum = at(t);
    for (std::int64_t j = 0; j < taps; ++j)
        sum += weight.as<double>()[j * width + c] * at(t + (centred ? (taps - 1) / 2 : 0) - j);
    return sum;
}

// 0 at the beginning, in the middle and at the end; T = 5, B = 2.
const std::vector<float> kKeep{0, 1, 1, 0, 1, 1, 1, 1, 0, 0};

TEST(Gradient, ShortConvolution) {
    for (const bool centred : {false, true})
        for (const std::int64_t taps : {1, 3, 4, 9}) {
            if (centred && taps % 2 == 0) continue;
            for (const bool padded : {false, true}) {
                const ConvolutionReach reach{.centred = centred, .keep = padded ? kKeep : std::span<const float>{}};
                checkGradients({{2, 5, 3}, {taps, 3}},
                               [=](const auto& in) { return shortConvolution(in[0], in[1], reach); });
                checkGradients({{2, 5, 2, 2}, {taps, 4}},
                               [=](const auto& in) { return shortConvolution(in[0], in[1], reach); });
            }
        }
}

TEST(ShortConvolution, IsTheSumOfItsDefinition) {
    Arena arena(true);
    Tape tape(arena);
    for (const bool centred : {false, true})
        for (const std::int64_t taps : {1, 2, 3, 4, 7, 11}) {
            if (centred && taps % 2 == 0) continue;
            const Tensor x = randomTensor<double>(arena, {2, 5, 3}, "x"),
                         w = randomTensor<double>(arena, {taps, 3}, "w");
            for (const std::span<const float> keep : {std::span<const float>{}, std::span<const float>(kKeep)}) {
                const Variable y = shortConvolution(tape.constant(x), tape.constant(w), {centred, keep});
                for (std::int64_t i = 0; i < y.value().elements(); ++i)
                    ASSERT_NEAR(y.value().as<double>()[i], defined(x, w, centred, keep, i / 15, i / 3 % 5, i % 3),
                                1e-14)
                        << "centred " << centred << " taps " << taps << " entry " << i;
            }
        }
}

TEST(ShortConvolution, CausalOnesDoNotSeeTheFuture) {
    Arena arena(true);
    Tape tape(arena);
    const Tensor x = randomTensor<float>(arena, {1, 40, 8}, "x"), w = randomTensor<float>(arena, {4, 8}, "w");
    const Variable before = shortConvolution(tape.constant(x), tape.constant(w));
    for (std::int64_t i = 20 * 8; i < 40 * 8; ++i) x.as<float>()[i] = std::numeric_limits<float>::quiet_NaN();
    const Variable after = shortConvolution(tape.constant(x), tape.constant(w));
    for (std::int64_t i = 0; i < 20 * 8; ++i) ASSERT_EQ(after.value().as<float>()[i], before.value().as<float>()[i]);
    EXPECT_TRUE(std::isnan(after.value().as<float>()[20 * 8]));
}

TEST(ShortConvolution, PaddingHasNoInfluenceAndGetsNoGradientWhateverItHolds) {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    for (const bool centred : {false, true}) {
        std::vector<float> outputs[2], gradients[2], weights[2];
        for (const int round : {0, 1}) {
            Arena arena(true);
            Tape tape(arena);
            const Tensor x = randomTensor<float>(arena, {2, 5, 4}, "x"), w = randomTensor<float>(arena, {3, 4}, "w");
            const Tensor seed = randomTensor<float>(arena, {2, 5, 4}, "seed");
            if (round == 1)
                for (std::int64_t i = 0; i < x.elements(); ++i)
                    if (kKeep[static_cast<std::size_t>(i / 4)] == 0) x.as<float>()[i] = seed.as<float>()[i] = nan;
            const Variable in = tape.leaf(x, arena.zeros(x.shape())), taps = tape.leaf(w, arena.zeros(w.shape()));
            const Variable y = shortConvolution(in, taps, {centred, kKeep});
            tape.backward(y, seed);
            const auto copy = [](const Tensor& tensor) {
                const auto numbers = tensor.span<float>();
                return std::vector<float>(numbers.begin(), numbers.end());
            };
            outputs[round] = copy(y.value());
            gradients[round] = copy(in.gradient());
            weights[round] = copy(taps.gradient());
        }
        EXPECT_EQ(outputs[0], outputs[1]);
        EXPECT_EQ(gradients[0], gradients[1]);
        EXPECT_EQ(weights[0], weights[1]);
        for (std::size_t i = 0; i < outputs[0].size(); ++i)
            if (kKeep[i / 4] == 0) {
                EXPECT_EQ(outputs[1][i], 0);
                EXPECT_EQ(gradients[1][i], 0);
            }
    }
}

TEST(ShortConvolution, IsTheSameForEveryNumberOfThreads) {
    std::vector<float> first;
    const int threads = threadCount();
    for (const int count : {1, 2, 3}) {
        setThreadCount(count);
        Arena arena(true);
        Tape tape(arena);
        const Tensor x = randomTensor<float>(arena, {3, 100, 8}, "x"), w = randomTensor<float>(arena, {4, 8}, "w");
        const Variable in = tape.leaf(x, arena.zeros(x.shape())), taps = tape.leaf(w, arena.zeros(w.shape()));
        const Variable y = shortConvolution(in, taps);
        tape.backward(y, randomTensor<float>(arena, y.shape(), "seed"));
        std::vector<float> all;
        for (const Tensor& tensor : {y.value(), in.gradient(), taps.gradient()}) {
            const auto numbers = tensor.span<float>();
            all.insert(all.end(), numbers.begin(), numbers.end());
        }
        if (first.empty()) first = all;
        EXPECT_EQ(all, first) << count << " threads";
    }
    setThreadCount(threads);
}

TEST(ConvolveToken, TokenByTokenIsTheWholeSequence) {
    Arena arena(true);
    Tape tape(arena);
    for (const std::int64_t taps : {1, 2, 3, 5}) {
        const Tensor x = randomTensor<float>(arena, {1, 30, 6}, "x"), w = randomTensor<float>(arena, {taps, 6}, "w");
        const Variable y = shortConvolution(tape.constant(x), tape.constant(w));
        std::vector<float> recent(static_cast<std::size_t>((taps - 1) * 6));
        for (std::int64_t t = 0; t < 30; ++t) {
            std::vector<float> token(x.as<float>() + t * 6, x.as<float>() + (t + 1) * 6);
            convolveToken(token, w.span<float>(), recent);
            for (std::int64_t c = 0; c < 6; ++c)
                ASSERT_NEAR(token[static_cast<std::size_t>(c)], y.value().as<float>()[t * 6 + c], 1e-5)
                    << "token " << t;
        }
    }
}

TEST(ShortConvolution, RefusesOtherShapes) {
    Arena arena;
    Tape tape(arena);
    const auto constant = [&](const Shape& shape) { return tape.constant(arena.zeros(shape)); };
    EXPECT_THROW(shortConvolution(constant({2, 3}), constant({3, 3})), Error);
    EXPECT_THROW(shortConvolution(constant({2, 3, 4}), constant({3, 3})), Error);
    EXPECT_THROW(shortConvolution(constant({2, 3, 4}), constant({4})), Error);
    EXPECT_THROW(shortConvolution(constant({2, 3, 4}), constant({4, 4}), {.centred = true}), Error);
    EXPECT_THROW(shortConvolution(constant({2, 3, 4}), constant({3, 4}), {.keep = kKeep}), Error);
    std::vector<float> x(4), weight(12), recent(4);
    EXPECT_THROW(convolveToken(x, weight, recent), Error);
}

}  // namespace
}  // namespace linscope
