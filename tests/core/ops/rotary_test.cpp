#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/ops/rotary.h"
#include "tests/core/ops/check_gradients.h"

namespace linscope {
namespace {

using test::checkGradients;

template <typename T>
Variable randomNumbers(Tape& tape, const Shape& shape, const char* stream) {
    Random random(6, stream);
    const Tensor tensor = tape.arena().tensor(shape, dtypeOf<T>);
    for (T& x : tensor.span<T>()) x = static_cast<T>(random.normal());
    return tape.constant(tensor);
}

TEST(Gradient, Rotary) {
    for (const std::int64_t width : {4, 5, 1})
        for (const bool inverse : {false, true})
            checkGradients({{2, 3, 2, width}}, [=](const auto& in) { return rotary(in[0], inverse); });
}

TEST(Rotary, InverseTurnsBack) {
    Arena arena(true);
    Tape tape(arena);
    for (const std::int64_t width : {8, 7, 2, 1}) {
        const Variable x = randomNumbers<double>(tape, {2, 70, 3, width}, "x");
        const Variable there = rotary(rotary(x), true), back = rotary(rotary(x, true));
        for (std::int64_t i = 0; i < x.value().elements(); ++i) {
            ASSERT_NEAR(there.value().as<double>()[i], x.value().as<double>()[i], 1e-14);
            ASSERT_NEAR(back.value().as<double>()[i], x.value().as<double>()[i], 1e-14);
        }
    }
}

TEST(Rotary, IsTheTurnOfThePaper) {
    Arena arena(true);
    Tape tape(arena);
    const Variable x = randomNumbers<double>(tape, {1, 5, 1, 6}, "x"), y = rotary(x);
    for (std::int64_t t = 0; t < 5; ++t)
        for (std::int64_t c = 0; c < 3; ++c) {
            const double angle = static_cast<double>(t) * std::pow(10000.0, -static_cast<double>(c) / 3);
            const double *in = x.value().as<double>() + t * 6, *out = y.value().as<double>() + t * 6;
            EXPECT_NEAR(out[c], in[c] * std::cos(angle) - in[c + 3] * std::sin(angle), 1e-14);
            EXPECT_NEAR(out[c + 3], in[c] * std::sin(angle) + in[c + 3] * std::cos(angle), 1e-14);
        }
}

// The same q and k at every place: their product may depend on i − j alone.
TEST(Rotary, ProductsDependOnTheDistanceAlone) {
    Arena arena(true);
    Tape tape(arena);
    constexpr std::int64_t kLength = 40;
    for (const std::int64_t width : {8, 7}) {
        const auto everywhere = [&](const char* stream) {
            const Variable one = randomNumbers<double>(tape, {1, 1, 1, width}, stream);
            const Tensor all = arena.tensor({1, kLength, 1, width}, DType::F64);
            for (std::int64_t i = 0; i < all.elements(); ++i) all.as<double>()[i] = one.value().as<double>()[i % width];
            return rotary(tape.constant(all));
        };
        const Variable q = everywhere("q"), k = everywhere("k");
        const auto product = [&](std::int64_t i, std::int64_t j) {
            double sum = 0;
            for (std::int64_t c = 0; c < width; ++c)
                sum += q.value().as<double>()[i * width + c] * k.value().as<double>()[j * width + c];
            return sum;
        };
        for (std::int64_t i = 1; i < kLength; ++i)
            for (std::int64_t j = 1; j < kLength; ++j) ASSERT_NEAR(product(i, j), product(i - 1, j - 1), 1e-12);
        EXPECT_GT(std::abs(product(9, 0) - product(0, 9)), 1e-3) << "before and behind differ";
        EXPECT_GT(std::abs(product(9, 0) - product(0, 0)), 1e-3);
    }
}

TEST(Rotary, AnOddWidthKeepsItsLastChannel) {
    Arena arena(true);
    Tape tape(arena);
    const Variable x = randomNumbers<double>(tape, {1, 9, 2, 5}, "x"), y = rotary(x);
    for (std::int64_t row = 0; row < 18; ++row)
        EXPECT_EQ(y.value().as<double>()[row * 5 + 4], x.value().as<double>()[row * 5 + 4]);
}

TEST(RotateTokens, IsRotaryAtTheirPlaces) {
    Arena arena(true);
    Tape tape(arena);
    for (const std::int64_t width : {8, 7, 1}) {
        const Variable x = randomNumbers<float>(tape, {1, 130, 3, width}, "x"), y = rotary(x);
        for (const std::int64_t together : {1, 77, 130})
            for (std::int64_t t = 0; t < 130; t += together) {
                const std::int64_t begin = t * 3 * width, count = std::min(together, 130 - t) * 3 * width;
                const float* tokens = x.value().as<float>() + begin;
                std::vector<float> turned(tokens, tokens + count);
                rotateTokens(turned, 3, width, t);
                for (std::int64_t i = 0; i < count; ++i)
                    ASSERT_NEAR(turned[static_cast<std::size_t>(i)], y.value().as<float>()[begin + i], 1e-6)
                        << "places from " << t << " on, channel " << i;
            }
    }
}

TEST(Rotary, RefusesOtherRanks) {
    Arena arena;
    Tape tape(arena);
    EXPECT_THROW(rotary(tape.constant(arena.zeros({2, 3, 4}))), Error);
}

}  // namespace
}  // namespace linscope
