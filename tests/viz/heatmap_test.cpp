#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "tests/viz/vulkan_fixture.h"
#include "viz/heatmap/heatmap_renderer.h"
#include "viz/heatmap/histogram.h"
#include "viz/offscreen/heatmap_image.h"

namespace linscope::viz {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();

std::shared_ptr<const Matrix> matrixOf(std::int64_t rows, std::int64_t cols, std::vector<float> values) {
    return std::make_shared<const Matrix>(Matrix{rows, cols, std::move(values)});
}

std::shared_ptr<Matrix> constant(std::int64_t rows, std::int64_t cols, float value) {
    return std::make_shared<Matrix>(Matrix{rows, cols, std::vector<float>(std::size_t(rows * cols), value)});
}

// Within one step of 255: the device may round another way.
bool same(const std::uint8_t* pixel, const Colour& colour, int slack = 1) {
    const float wanted[] = {colour.red, colour.green, colour.blue};
    for (int c = 0; c < 3; ++c)
        if (std::abs(pixel[c] - std::lround(wanted[c] * 255)) > slack) return false;
    return true;
}

::testing::AssertionResult shows(const RgbaImage& image, int x, int y, const Colour& colour, int slack = 1) {
    if (same(image.at(x, y), colour, slack)) return ::testing::AssertionSuccess();
    const std::uint8_t* p = image.at(x, y);
    return ::testing::AssertionFailure() << "pixel " << x << "," << y << " is " << int(p[0]) << " " << int(p[1]) << " "
                                         << int(p[2]) << ", expected " << colour.red * 255 << " " << colour.green * 255
                                         << " " << colour.blue * 255;
}

class HeatmapTest : public VulkanTest {
protected:
    RgbaImage fitted(std::shared_ptr<const Matrix> matrix, int width, int height, const HeatmapStyle& style,
                     Pooling pooling = Pooling::Max) {
        OffscreenPane pane;
        pane.viewport = {0, 0, float(width), float(height)};
        pane.camera.fit(matrix->rows, matrix->cols, pane.viewport, false);
        pane.matrix = std::move(matrix);
        pane.pooling = pooling;
        pane.style = style;
        return drawHeatmaps(device(), width, height, {pane});
    }
};

HeatmapStyle plain(ScaleKind kind, float lo, float hi) {
    HeatmapStyle style;
    style.scale = {kind, lo, hi};
    style.grid = false;
    return style;
}

TEST_F(HeatmapTest, RowZeroIsAtTheTopAndNothingIsTransposed) {
    std::vector<float> values;
    for (int i = 0; i < 12; ++i) values.push_back(float(i) / 11);
    const HeatmapStyle style = plain(ScaleKind::Linear, 0, 1);
    const RgbaImage image = fitted(matrixOf(4, 3, values), 30, 40, style);
    for (int row = 0; row < 4; ++row)
        for (int col = 0; col < 3; ++col)
            for (const int inset : {0, 5, 9})
                EXPECT_TRUE(shows(image, col * 10 + inset, row * 10 + inset,
                                  defaultColourMap(false).at(values[std::size_t(row * 3 + col)])))
                    << "row " << row << " col " << col;
}

TEST_F(HeatmapTest, EveryScaleAndMapDrawsWhatTheFormulaSays) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> values(16 * 16);
    for (float& value : values) value = std::exp(3 * normal(random)) * (normal(random) < 0 ? -1.0f : 1.0f);
    for (const ScaleKind kind : {ScaleKind::Linear, ScaleKind::Log, ScaleKind::Diverging, ScaleKind::Arcsinh})
        for (const ColourMap& map : colourMaps()) {
            HeatmapStyle style = plain(kind, kind == ScaleKind::Log ? 0.01f : -4, 9);
            style.colours = &map;
            const RgbaImage image = fitted(matrixOf(16, 16, values), 32, 32, style);
            for (int i = 0; i < 256; ++i)
                // A neighbouring entry of the map is allowed: the device's logarithm is its own.
                EXPECT_TRUE(
                    shows(image, i % 16 * 2, i / 16 * 2, map.at(style.scale.position(values[std::size_t(i)])), 3))
                    << scaleName(kind) << ' ' << map.name() << " value " << values[std::size_t(i)];
        }
}

TEST_F(HeatmapTest, WhatIsNotFiniteHasItsOwnColours) {
    for (const ScaleKind kind : {ScaleKind::Linear, ScaleKind::Log, ScaleKind::Diverging, ScaleKind::Arcsinh}) {
        const RgbaImage image = fitted(matrixOf(2, 2, {kNan, kInf, -kInf, 0.5f}), 20, 20, plain(kind, 0.1f, 1));
        EXPECT_TRUE(shows(image, 5, 5, kNanColour));
        EXPECT_TRUE(shows(image, 15, 5, kPlusInfColour));
        EXPECT_TRUE(shows(image, 5, 15, kMinusInfColour));
        EXPECT_FALSE(same(image.at(15, 15), kNanColour));
    }
}

TEST_F(HeatmapTest, OutOfRangeTakesTheEndColours) {
    const ColourMap& map = defaultColourMap(false);
    const RgbaImage image =
        fitted(matrixOf(1, 4, {-1e30f, 0.19f, 0.81f, 3e38f}), 40, 10, plain(ScaleKind::Linear, 0.2f, 0.8f));
    EXPECT_TRUE(shows(image, 5, 5, map.at(0)));
    EXPECT_TRUE(shows(image, 15, 5, map.at(0)));
    EXPECT_TRUE(shows(image, 25, 5, map.at(1)));
    EXPECT_TRUE(shows(image, 35, 5, map.at(1)));
}

TEST_F(HeatmapTest, LogDrawsZeroAndNegativesAsBelowTheRange) {
    const ColourMap& map = defaultColourMap(false);
    const RgbaImage image = fitted(matrixOf(1, 4, {0, -3, 1e-3f, 1}), 40, 10, plain(ScaleKind::Log, 1e-6f, 1));
    EXPECT_TRUE(shows(image, 5, 5, map.at(0)));
    EXPECT_TRUE(shows(image, 15, 5, map.at(0)));
    EXPECT_TRUE(shows(image, 25, 5, map.at(0.5f), 3));
    EXPECT_TRUE(shows(image, 35, 5, map.at(1)));
}

TEST_F(HeatmapTest, DivergingZeroIsTheNeutralColour) {
    const ColourMap& map = defaultColourMap(true);
    const RgbaImage image = fitted(matrixOf(1, 3, {-5, 0, 1}), 30, 10, plain(ScaleKind::Diverging, -1, 5));
    EXPECT_TRUE(shows(image, 5, 5, map.at(0)));
    EXPECT_TRUE(shows(image, 15, 5, map.entries()[ColourMap::kEntries / 2]));
    EXPECT_TRUE(shows(image, 25, 5, map.at(0.6f), 3));
}

TEST_F(HeatmapTest, PoolingKeepsALoneCellVisible) {
    const ColourMap& map = defaultColourMap(false);
    std::mt19937 random(11);
    for (int trial = 0; trial < 4; ++trial) {
        const auto row = std::int64_t(random() % 4096), col = std::int64_t(random() % 4096);
        auto matrix = constant(4096, 4096, 0.25f);
        matrix->values[std::size_t(row * 4096 + col)] = trial == 3 ? kNan : 1.0f;
        const RgbaImage image = fitted(matrix, 200, 200, plain(ScaleKind::Linear, 0, 1));
        const Colour wanted = trial == 3 ? kNanColour : map.at(1);
        int bright = 0, dark = 0;
        for (int y = 0; y < 200; ++y)
            for (int x = 0; x < 200; ++x) {
                bright += same(image.at(x, y), wanted);
                dark += same(image.at(x, y), map.at(0.25f));
            }
        EXPECT_TRUE(shows(image, int(double(col) * 200 / 4096), int(double(row) * 200 / 4096), wanted));
        EXPECT_LE(bright, 4) << "a cell of 1/20 pixel must not grow past the pixels around it";
        EXPECT_EQ(bright + dark, 200 * 200);
    }
}

// Against brute force: each pixel of a matrix that is shrunk, by other factors along rows and columns.
TEST_F(HeatmapTest, PooledPixelsAreThePoolOfTheCellsUnderThem) {
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    auto matrix = std::make_shared<Matrix>(Matrix{301, 173, {}});
    for (int i = 0; i < 301 * 173; ++i) matrix->values.push_back(normal(random));
    OffscreenTarget target(device(), 90, 70);
    HeatmapRenderer renderer(device(), target.renderPass(), target.format(), 1);
    const PixelRect viewport{3, 5, 80, 60};
    for (const Pooling pooling : {Pooling::Max, Pooling::AbsMax}) {
        HeatmapPane pane(renderer);
        pane.setMatrix(matrix, pooling);
        HeatmapCamera camera;
        camera.fit(301, 173, viewport, false);
        const HeatmapStyle style = plain(ScaleKind::Diverging, -4, 4);
        renderer.beginFrame();
        const RgbaImage image =
            target.draw({1, 1, 1}, [&](VkCommandBuffer commands) { pane.draw(commands, camera, viewport, style); });
        int wrong = 0;
        for (int y = 5; y < 65; ++y)
            for (int x = 3; x < 83; ++x) {
                const CellRange under = pane.cellsUnder(camera, viewport, float(x), float(y));
                ASSERT_GT(under.count(), 0);
                // Not less than the pixel itself covers.
                const double top = (y - 5) * 301 / 60.0, left = (x - 3) * 173 / 80.0;
                EXPECT_LE(double(under.rowBegin), top + 0.01);
                EXPECT_LE(double(under.colBegin), left + 0.01);
                EXPECT_GE(double(under.rowEnd), std::min(301.0, top + 301 / 60.0) - 0.01);
                EXPECT_GE(double(under.colEnd), std::min(173.0, left + 173 / 80.0) - 0.01);
                const float value = poolRange(*matrix, under, pooling).value;
                wrong += !same(image.at(x, y), defaultColourMap(true).at(style.scale.position(value)), 3);
            }
        EXPECT_EQ(wrong, 0) << poolingName(pooling);
        EXPECT_TRUE(shows(image, 1, 1, {1, 1, 1})) << "outside the viewport nothing is drawn";
    }
}

TEST_F(HeatmapTest, MeanPoolingIsTheMean) {
    auto matrix = constant(64, 64, 0);
    for (std::size_t i = 0; i < matrix->values.size(); i += 2) matrix->values[i] = 1;  // stripes
    const RgbaImage image = fitted(matrix, 16, 16, plain(ScaleKind::Linear, 0, 1), Pooling::Mean);
    for (int i = 0; i < 16; ++i) EXPECT_TRUE(shows(image, i, 15 - i, defaultColourMap(false).at(0.5f), 2));
}

TEST_F(HeatmapTest, BackgroundSurroundsTheMatrix) {
    OffscreenPane pane;
    pane.matrix = matrixOf(1, 1, {1});
    pane.viewport = {10, 10, 40, 20};
    pane.camera.fit(1, 1, pane.viewport, true);
    pane.style = plain(ScaleKind::Linear, 0, 1);
    const RgbaImage image = drawHeatmaps(device(), 60, 40, {pane}, {0, 0, 1});
    EXPECT_TRUE(shows(image, 30, 20, defaultColourMap(false).at(1)));
    EXPECT_TRUE(shows(image, 12, 20, pane.style.background));
    EXPECT_TRUE(shows(image, 5, 20, {0, 0, 1}));
}

TEST_F(HeatmapTest, GridAndCursorLeaveTheCellsReadable) {
    auto matrix = constant(8, 8, 0);
    HeatmapStyle style = plain(ScaleKind::Linear, 0, 1);
    style.grid = true;
    style.cursor = {2, 5};
    const RgbaImage image = fitted(matrix, 160, 160, style);
    const Colour cell = defaultColourMap(false).at(0);
    EXPECT_TRUE(shows(image, 10, 10, cell)) << "cell far from the cursor";
    EXPECT_FALSE(shows(image, 20, 10, cell)) << "grid line";
    EXPECT_TRUE(shows(image, 110, 50, cell)) << "inside the marked cell";
    EXPECT_TRUE(shows(image, 10, 50, cell)) << "inside the marked row";
    EXPECT_FALSE(shows(image, 10, 40, cell)) << "edge of the marked row";
    EXPECT_GT(image.at(105, 40)[1], image.at(10, 40)[1]) << "the cell's edge is stronger than the row's";
}

TEST_F(HeatmapTest, UpdatesAndResizesWithFramesInFlight) {
    OffscreenTarget target(device(), 64, 64);
    HeatmapRenderer renderer(device(), target.renderPass(), target.format(), 3);
    HeatmapPane pane(renderer);
    EXPECT_TRUE(pane.empty());
    EXPECT_THROW(pane.matrix(), Error);
    const PixelRect viewport{0, 0, 64, 64};
    const HeatmapStyle style = plain(ScaleKind::Linear, 0, 1);
    const auto drawn = [&] {
        HeatmapCamera camera;
        if (!pane.empty()) camera.fit(pane.matrix().rows, pane.matrix().cols, viewport, false);
        renderer.beginFrame();
        return target.draw({1, 1, 1}, [&](VkCommandBuffer commands) { pane.draw(commands, camera, viewport, style); });
    };
    EXPECT_TRUE(shows(drawn(), 30, 30, style.background)) << "an empty pane is background";
    for (int i = 0; i <= 10; ++i) {
        const std::int64_t side = i % 2 ? 16 : 200;
        pane.setMatrix(constant(side, side, float(i) / 10), Pooling::Max);
        const RgbaImage image = drawn();
        EXPECT_TRUE(shows(image, 0, 0, defaultColourMap(false).at(float(i) / 10), 2));
        EXPECT_TRUE(shows(image, 63, 63, defaultColourMap(false).at(float(i) / 10), 2));
    }
    EXPECT_THROW(pane.setMatrix(matrixOf(2, 2, {1, 2, 3}), Pooling::Max), Error);
    EXPECT_THROW(pane.setMatrix(matrixOf(0, 4, {}), Pooling::Max), Error);
    EXPECT_TRUE(shows(drawn(), 30, 30, defaultColourMap(false).at(1))) << "a refused matrix changes nothing";
}

// Two frames recorded before either runs: the first must still draw the matrix it was recorded with.
TEST_F(HeatmapTest, AFrameInFlightKeepsItsMatrix) {
    OffscreenTarget target(device(), 32, 32);
    HeatmapRenderer renderer(device(), target.renderPass(), target.format(), 2);
    HeatmapPane pane(renderer);
    HeatmapCamera camera;
    const PixelRect viewport{0, 0, 32, 32};
    camera.fit(4, 4, viewport, false);
    const HeatmapStyle style = plain(ScaleKind::Linear, 0, 1);
    pane.setMatrix(constant(4, 4, 0), Pooling::Max);
    renderer.beginFrame();
    const RgbaImage image = target.draw({1, 1, 1}, [&](VkCommandBuffer commands) {
        pane.draw(commands, camera, viewport, style);
        pane.setMatrix(constant(4, 4, 1), Pooling::Max);
        renderer.beginFrame();
        pane.draw(commands, camera, {16, 0, 16, 32}, style);
    });
    EXPECT_TRUE(shows(image, 4, 16, defaultColourMap(false).at(0)));
    EXPECT_TRUE(shows(image, 28, 16, defaultColourMap(false).at(1)));
}

TEST_F(HeatmapTest, OfALargeMatrixOnlyAWindowIsUploaded) {
    // Only the part that is seen may go to the device, however large the matrix.
    auto matrix = constant(6000, 6000, 0);
    matrix->values[std::size_t(5990) * 6000 + 5980] = 1;
    OffscreenPane pane;
    pane.matrix = matrix;
    pane.viewport = {0, 0, 100, 100};
    pane.camera.rows = {5990.5, 10};
    pane.camera.cols = {5980.5, 10};
    pane.style = plain(ScaleKind::Linear, 0, 1);
    const RgbaImage image = drawHeatmaps(device(), 100, 100, {pane});
    EXPECT_TRUE(shows(image, 50, 50, defaultColourMap(false).at(1)));
    EXPECT_TRUE(shows(image, 40, 50, defaultColourMap(false).at(0)));
}

}  // namespace
}  // namespace linscope::viz
