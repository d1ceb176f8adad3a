#include "viz/heatmap/pooling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "core/base/error.h"

namespace linscope::viz {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();

std::shared_ptr<Matrix> randomMatrix(std::int64_t rows, std::int64_t cols) {
    auto matrix = std::make_shared<Matrix>(Matrix{rows, cols, {}});
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    for (std::int64_t i = 0; i < rows * cols; ++i) matrix->values.push_back(normal(random));
    return matrix;
}

// Every cell of every level against the definition; odd sides make ragged last blocks.
TEST(Pooling, LevelsAreThePoolOfTheirBlocks) {
    const auto matrix = randomMatrix(53, 38);
    for (const Pooling pooling : {Pooling::Max, Pooling::Mean, Pooling::AbsMax}) {
        PoolPyramid pyramid(matrix, pooling);
        for (int a = 0; a <= 6; ++a)
            for (int b = 0; b <= 6; ++b) {
                const Matrix& level = pyramid.level(a, b);
                const std::int64_t height = 1 << a, width = 1 << b;
                ASSERT_EQ(level.rows, (53 + height - 1) / height);
                ASSERT_EQ(level.cols, (38 + width - 1) / width);
                for (std::int64_t r = 0; r < level.rows; ++r)
                    for (std::int64_t c = 0; c < level.cols; ++c) {
                        const CellRange block{r * height, std::min<std::int64_t>(53, (r + 1) * height), c * width,
                                              std::min<std::int64_t>(38, (c + 1) * width)};
                        ASSERT_NEAR(level.at(r, c), poolRange(*matrix, block, pooling).value, 1e-5)
                            << poolingName(pooling) << " level " << a << "," << b << " cell " << r << "," << c;
                    }
            }
    }
}

TEST(Pooling, WhatIsNotFiniteAlwaysWins) {
    for (const Pooling pooling : {Pooling::Max, Pooling::Mean, Pooling::AbsMax}) {
        auto matrix = randomMatrix(64, 64);
        matrix->values[10 * 64 + 20] = -kInf;
        matrix->values[40 * 64 + 3] = kNan;
        matrix->values[40 * 64 + 4] = kInf;
        matrix->values[63 * 64 + 63] = kInf;
        PoolPyramid pyramid(matrix, pooling);
        const Matrix& level = pyramid.level(4, 4);
        EXPECT_EQ(level.at(0, 1), -kInf);
        EXPECT_TRUE(std::isnan(level.at(2, 0))) << "NaN before infinity";
        EXPECT_EQ(level.at(3, 3), kInf);
        EXPECT_TRUE(std::isfinite(level.at(1, 1)));
        EXPECT_TRUE(std::isnan(pyramid.level(6, 6).at(0, 0)));
        const PooledValue found = poolRange(*matrix, {32, 48, 0, 16}, pooling);
        EXPECT_TRUE(std::isnan(found.value));
        EXPECT_EQ(found.source, (Cell{40, 3}));
    }
}

TEST(Pooling, NamesTheCellItComesFrom) {
    auto matrix = randomMatrix(20, 30);
    matrix->values[7 * 30 + 11] = -50;
    matrix->values[8 * 30 + 12] = 40;
    EXPECT_EQ(poolRange(*matrix, {0, 20, 0, 30}, Pooling::Max).source, (Cell{8, 12}));
    const PooledValue abs = poolRange(*matrix, {0, 20, 0, 30}, Pooling::AbsMax);
    EXPECT_EQ(abs.source, (Cell{7, 11}));
    EXPECT_EQ(abs.value, -50) << "the sign is kept";
    EXPECT_EQ(abs.count, 600);
    EXPECT_THROW(poolRange(*matrix, {0, 21, 0, 30}, Pooling::Max), Error);
    EXPECT_THROW(poolRange(*matrix, {5, 5, 0, 30}, Pooling::Max), Error);
}

}  // namespace
}  // namespace linscope::viz
