#include "core/analysis/map_panels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/base/random.h"
#include "core/cuda/context.h"
#include "core/tensor/arena.h"
#include "tests/core/cuda/cuda_test.h"

namespace linscope {
namespace {

using MapPanelsTest = test::CudaTest;

constexpr std::int64_t kRows = 37, kCols = 53;

// The definition: the greatest value of a cell, or the one farthest from 0; a NaN where there is one.
float wantedCell(const std::vector<float>& values, std::int64_t rowBlock, std::int64_t colBlock, bool isSigned,
                 std::int64_t cellRow, std::int64_t cellCol) {
    float best = values[static_cast<std::size_t>(cellRow * rowBlock * kCols + cellCol * colBlock)];
    for (std::int64_t i = cellRow * rowBlock; i < std::min((cellRow + 1) * rowBlock, kRows); ++i)
        for (std::int64_t j = cellCol * colBlock; j < std::min((cellCol + 1) * colBlock, kCols); ++j) {
            const float x = values[static_cast<std::size_t>(i * kCols + j)];
            if (std::isnan(x)) return x;
            if (isSigned ? std::abs(x) > std::abs(best) : x > best) best = x;
        }
    return best;
}

// In parts of `height` rows and `width` columns, bands or panels, which cells need not fit into.
void comparePooled(std::int64_t rowBlock, std::int64_t colBlock, bool isSigned, std::int64_t height,
                   std::int64_t width) {
    SCOPED_TRACE(testing::Message() << rowBlock << " x " << colBlock << (isSigned ? " signed" : "") << ", parts of "
                                    << height << " x " << width);
    Random random(3, "pooled");
    std::vector<float> values(static_cast<std::size_t>(kRows * kCols));
    for (float& x : values) x = static_cast<float>(random.normal());
    for (const std::size_t at : {std::size_t{0}, std::size_t{700}, values.size() - 1})
        values[at] = std::numeric_limits<float>::quiet_NaN();
    DeviceContext context;
    Arena arena(&context, true);
    const std::int64_t rows = (kRows + rowBlock - 1) / rowBlock, cols = (kCols + colBlock - 1) / colBlock;
    const Tensor map = arena.tensor({rows, cols});
    for (std::int64_t row = 0; row < kRows; row += height)
        for (std::int64_t col = 0; col < kCols; col += width) {
            PooledTile tile{.rows = std::min(height, kRows - row),
                            .cols = std::min(width, kCols - col),
                            .firstRow = row,
                            .firstCol = col,
                            .rowBlock = rowBlock,
                            .colBlock = colBlock,
                            .mapCols = cols,
                            .isSigned = isSigned};
            std::vector<float> part;
            for (std::int64_t i = row; i < row + tile.rows; ++i)
                part.insert(part.end(), values.begin() + i * kCols + col, values.begin() + i * kCols + col + tile.cols);
            const Tensor there = arena.tensor({tile.rows, tile.cols});
            context.toDevice(there.raw(), part.data(), part.size() * sizeof(float));
            tile.values = there.onDeviceAs<float>();
            cuda::poolTile(context, tile, map.onDeviceAs<float>());
            context.wait();
        }
    std::vector<float> found(static_cast<std::size_t>(rows * cols));
    context.toHost(found.data(), map.raw(), found.size() * sizeof(float));
    context.wait();
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < cols; ++j) {
            const float wanted = wantedCell(values, rowBlock, colBlock, isSigned, i, j);
            const float is = found[static_cast<std::size_t>(i * cols + j)];
            ASSERT_TRUE(std::isnan(wanted) ? std::isnan(is) : is == wanted)
                << i << ", " << j << ": " << is << " in place of " << wanted;
        }
}

TEST_F(MapPanelsTest, PoolingIsTheDefinition) {
    for (const bool isSigned : {false, true})
        for (const auto& [rowBlock, colBlock] :
             {std::pair{1, 1}, std::pair{4, 6}, std::pair{1, 5}, std::pair{9, 1}, std::pair{40, 60}}) {
            comparePooled(rowBlock, colBlock, isSigned, kRows, kCols);
            comparePooled(rowBlock, colBlock, isSigned, 8, kCols);
            comparePooled(rowBlock, colBlock, isSigned, kRows, 10);
        }
}

// A mechanism that hands on its values implies the identity.
TEST_F(MapPanelsTest, UnitValuesComeBackAsColumns) {
    constexpr std::int64_t kLength = 23, kHeads = 3, kWidth = 4;
    DeviceContext context;
    for (const bool difference : {false, true}) {
        Arena arena(&context, true);
        const Tensor map = arena.zeros({kLength, kLength});
        if (difference) context.fillNumbers(map.onDeviceAs<float>(), 2, kLength * kLength);
        for (std::int64_t first = 0; first < kLength; first += 2 * kWidth) {
            const MapPanel panel{.first = first, .columns = std::min(2 * kWidth, kLength - first), .head = 1};
            const Tensor v = arena.zeros({2, kLength, kHeads, kWidth});
            cuda::setUnitValues(context, panel, v);
            cuda::takeColumns(context, panel, v, difference, map.onDeviceAs<float>() + first, kLength);
        }
        std::vector<float> found(static_cast<std::size_t>(kLength * kLength));
        context.toHost(found.data(), map.raw(), found.size() * sizeof(float));
        context.wait();
        for (std::int64_t i = 0; i < kLength; ++i)
            for (std::int64_t j = 0; j < kLength; ++j)
                ASSERT_EQ(found[static_cast<std::size_t>(i * kLength + j)], (i == j ? 1 : 0) - (difference ? 2 : 0))
                    << i << ", " << j;
    }
}

}  // namespace
}  // namespace linscope
