#include "core/ops/gemm.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "core/base/parallel.h"
#include "core/base/random.h"

namespace linscope {
namespace {

// Against the triple loop: every transposition, odd sizes, row strides larger than rows, α and β.
template <typename T>
void compare(bool ta, bool tb, double tolerance) {
    const std::int64_t m = 37, n = 29, k = 53, pad = 5;
    const std::int64_t lda = (ta ? m : k) + pad, ldb = (tb ? k : n) + pad, ldc = n + pad;
    Random random(1, "gemm");
    const auto draw = [&](std::int64_t count) {
        std::vector<T> values(static_cast<std::size_t>(count));
        for (T& x : values) x = static_cast<T>(random.normal());
        return values;
    };
    const auto a = draw((ta ? k : m) * lda), b = draw((tb ? n : k) * ldb), before = draw(m * ldc);
    for (const double beta : {0.0, 1.0, 0.5}) {
        auto c = before;
        multiply({.m = m,
                  .n = n,
                  .k = k,
                  .transposeA = ta,
                  .transposeB = tb,
                  .lda = lda,
                  .ldb = ldb,
                  .ldc = ldc,
                  .alpha = 1.5,
                  .beta = beta},
                 a.data(), b.data(), c.data());
        for (std::int64_t i = 0; i < m; ++i)
            for (std::int64_t j = 0; j < ldc; ++j) {
                const auto at = static_cast<std::size_t>(i * ldc + j);
                if (j >= n) {
                    ASSERT_EQ(c[at], before[at]) << "written beyond the row";
                    continue;
                }
                double sum = 0;
                for (std::int64_t l = 0; l < k; ++l)
                    sum += double(a[static_cast<std::size_t>(ta ? l * lda + i : i * lda + l)]) *
                           double(b[static_cast<std::size_t>(tb ? j * ldb + l : l * ldb + j)]);
                ASSERT_NEAR(c[at], 1.5 * sum + beta * double(before[at]), tolerance);
            }
    }
}

TEST(Gemm, MatchesTheDefinition) {
    for (const bool ta : {false, true})
        for (const bool tb : {false, true}) {
            compare<float>(ta, tb, 1e-4);
            compare<double>(ta, tb, 1e-11);
        }
}

TEST(Gemm, DoesNotDependOnTheNumberOfThreads) {
    const std::int64_t size = 130;
    Random random(2, "threads");
    std::vector<float> a(size * size), b(size * size), one(size * size), two(size * size);
    for (auto* values : {&a, &b})
        for (float& x : *values) x = static_cast<float>(random.normal());
    const Product product{.m = size, .n = size, .k = size, .lda = size, .ldb = size, .ldc = size};
    const int threads = threadCount();
    setThreadCount(1);
    multiply(product, a.data(), b.data(), one.data());
    setThreadCount(2);
    multiply(product, a.data(), b.data(), two.data());
    setThreadCount(threads);
    EXPECT_EQ(one, two);
}

TEST(Bf16, RoundsToTheNearestAndOfTwoToTheEven) {
    const float step = 1.0f / 128;  // of the numbers from 1 to 2
    EXPECT_EQ(roundToBf16(1 + step), 1 + step);
    EXPECT_EQ(roundToBf16(1 + 0.5f * step), 1);
    EXPECT_EQ(roundToBf16(1 + 0.51f * step), 1 + step);
    EXPECT_EQ(roundToBf16(1 + 1.5f * step), 1 + 2 * step);
    EXPECT_EQ(roundToBf16(-1 - 1.5f * step), -1 - 2 * step);
    EXPECT_EQ(roundToBf16(2 - 0.4f * step), 2);
    EXPECT_EQ(roundToBf16(1e-40f), std::ldexp(std::round(std::ldexp(1e-40f, 133)), -133)) << "subnormal";
    EXPECT_TRUE(std::signbit(roundToBf16(-0.0f)));
    EXPECT_TRUE(std::isinf(roundToBf16(std::numeric_limits<float>::max())));
    EXPECT_TRUE(std::isinf(roundToBf16(std::numeric_limits<float>::infinity())));
    const auto allBitsSet = std::bit_cast<float>(0x7fffffffu), smallest = std::bit_cast<float>(0x7f800001u);
    EXPECT_TRUE(std::isnan(roundToBf16(allBitsSet)));
    EXPECT_TRUE(std::isnan(roundToBf16(smallest)));
}

// Larger than a tile of rounded factors on every side, and no multiple of one.
TEST(Bf16, ProductIsThatOfTheRoundedFactors) {
    const std::int64_t m = 150, n = 141, k = 300;
    Random random(3, "bf16");
    std::vector<float> a(m * k), b(k * n), before(m * n);
    for (auto* values : {&a, &b, &before})
        for (float& x : *values) x = static_cast<float>(random.normal());
    auto roundedA = a, roundedB = b;
    for (auto* values : {&roundedA, &roundedB})
        for (float& x : *values) x = roundToBf16(x);
    for (const bool ta : {false, true})
        for (const bool tb : {false, true})
            for (const double beta : {0.0, 0.5}) {
                Product p{.m = m, .n = n, .k = k, .transposeA = ta, .transposeB = tb};
                p.lda = ta ? m : k;
                p.ldb = tb ? k : n;
                p.ldc = n;
                p.alpha = 1.5;
                p.beta = beta;
                auto expected = before, found = before;
                multiply(p, roundedA.data(), roundedB.data(), expected.data());
                p.precision = Precision::Bf16;
                multiply(p, a.data(), b.data(), found.data());
                for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], 3e-4);
                const int threads = threadCount();
                setThreadCount(threads == 1 ? 2 : 1);
                auto other = before;
                multiply(p, a.data(), b.data(), other.data());
                setThreadCount(threads);
                EXPECT_EQ(found, other) << "depends on the number of threads";
            }
}

}  // namespace
}  // namespace linscope
