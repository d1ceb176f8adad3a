#include "core/tensor/arena.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/base/error.h"
#include "core/base/random.h"

namespace linscope {
namespace {

TEST(Arena, BecomesOneBlockAndTakesNoMoreFromTheHeap) {
    Arena arena;
    const auto use = [&] {
        for (int i = 0; i < 10; ++i) arena.tensor({1 << 18});
    };
    use();
    EXPECT_GT(arena.heapAllocations(), 1);
    arena.reset();
    const auto after = arena.heapAllocations();
    for (int i = 0; i < 3; ++i) {
        use();
        arena.reset();
    }
    EXPECT_EQ(arena.heapAllocations(), after);
    EXPECT_EQ(arena.usedBytes(), 0u);
    EXPECT_GE(arena.peakBytes(), std::size_t{10} << 20);
}

TEST(Arena, ScratchGivesBackWhatItTookAcrossBlocks) {
    Arena arena;
    const auto use = [&] {
        float* kept = arena.tensor({1000}).as<float>();
        kept[0] = 7;
        const std::size_t before = arena.usedBytes();
        for (int i = 0; i < 5; ++i) {
            const Arena::Scratch scratch(arena);
            for (int j = 0; j < 4; ++j) std::ranges::fill(arena.tensor({1 << 18}).span<float>(), 3.0f);
        }
        EXPECT_EQ(arena.usedBytes(), before);
        EXPECT_NE(arena.tensor({10}).as<float>(), kept);
        EXPECT_EQ(kept[0], 7);
    };
    use();
    EXPECT_LT(arena.peakBytes(), std::size_t{5} << 20) << "five loans of 4 MiB, one after the other";
    arena.reset();
    const auto after = arena.heapAllocations();
    for (int i = 0; i < 3; ++i) {
        use();
        arena.reset();
    }
    EXPECT_EQ(arena.heapAllocations(), after);
    EXPECT_EQ(arena.usedBytes(), 0u);
}

TEST(Arena, PoisonIsNaNAndMemoryIsAligned) {
    Arena arena(true);
    arena.allocate(3);
    const Tensor x = arena.tensor({5});
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(x.raw()) % 64, 0u);
    for (float value : x.span<float>()) EXPECT_TRUE(std::isnan(value));
    for (float value : arena.zeros({3}).span<float>()) EXPECT_EQ(value, 0);
}

TEST(Shape, CountsAndPrints) {
    const Shape shape{2, 3, 4};
    EXPECT_EQ(shape.elements(), 24);
    EXPECT_EQ(shape[-1], 4);
    EXPECT_EQ(shape.text(), "[2, 3, 4]");
    EXPECT_THROW((Shape{1, -1}), Error);
}

TEST(Random, StreamsDependOnSeedAndNameOnly) {
    Random a(1, "x"), b(1, "x"), c(1, "y"), d(2, "x");
    const auto first = a.bits();
    EXPECT_EQ(first, b.bits());
    EXPECT_NE(first, c.bits());
    EXPECT_NE(first, d.bits());
    Random resumed(a.state());
    EXPECT_EQ(a.bits(), resumed.bits());
}

TEST(Random, HasTheMomentsItClaims) {
    Random random(5, "moments");
    double sum = 0, squares = 0;
    std::int64_t counts[3] = {};
    constexpr int n = 200000;
    for (int i = 0; i < n; ++i) {
        const double x = random.normal();
        sum += x;
        squares += x * x;
        ++counts[random.below(3)];
    }
    EXPECT_NEAR(sum / n, 0, 0.01);
    EXPECT_NEAR(squares / n, 1, 0.02);
    for (std::int64_t count : counts) EXPECT_NEAR(double(count) / n, 1.0 / 3, 0.005);
}

}  // namespace
}  // namespace linscope
