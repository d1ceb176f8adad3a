#include "viz/heatmap/camera.h"

#include <gtest/gtest.h>

namespace linscope::viz {
namespace {

constexpr PixelRect kPane{100, 50, 512, 400};

TEST(Camera, FitShowsTheWholeMatrix) {
    HeatmapCamera camera;
    camera.fit(200, 64, kPane, false);
    EXPECT_EQ(camera.cellAt(100.5f, 50.5f, 200, 64, kPane), (Cell{0, 0}));
    EXPECT_EQ(camera.cellAt(611.5f, 449.5f, 200, 64, kPane), (Cell{199, 63}));
    const PixelRect last = camera.cellRect({199, 63}, kPane);
    EXPECT_FLOAT_EQ(last.x + last.width, 612);
    EXPECT_FLOAT_EQ(last.y + last.height, 450);
    EXPECT_TRUE(camera.fitted);
}

TEST(Camera, SquareCellsKeepTheirShapeAndLeaveAMargin) {
    HeatmapCamera camera;
    camera.fit(100, 100, kPane, true);
    EXPECT_DOUBLE_EQ(camera.rows.pixelsPerCell, camera.cols.pixelsPerCell);
    EXPECT_DOUBLE_EQ(camera.rows.pixelsPerCell, 4);
    EXPECT_FALSE(camera.cellAt(101, 200, 100, 100, kPane).valid()) << "left of the matrix, inside the pane";
    EXPECT_TRUE(camera.cellAt(356, 200, 100, 100, kPane).valid());
}

TEST(Camera, ZoomKeepsTheCellUnderTheCursor) {
    HeatmapCamera camera;
    camera.fit(512, 512, kPane, false);
    const float px = 233.5f, py = 401.5f;
    const Cell before = camera.cellAt(px, py, 512, 512, kPane);
    for (int i = 0; i < 12; ++i) {
        camera.zoomAbout(1.3, px, py, 512, 512, kPane);
        EXPECT_EQ(camera.cellAt(px, py, 512, 512, kPane), before) << "zoom " << i;
    }
    EXPECT_FALSE(camera.fitted);
}

TEST(Camera, ZoomStopsAtTheLimitsWithoutMovingOrBendingCells) {
    HeatmapCamera camera;
    camera.fit(4096, 1024, kPane, false);
    const double shape = camera.rows.pixelsPerCell / camera.cols.pixelsPerCell;
    const Cell before = camera.cellAt(300.5f, 200.5f, 4096, 1024, kPane);
    for (int i = 0; i < 100; ++i) camera.zoomAbout(2, 300.5f, 200.5f, 4096, 1024, kPane);
    EXPECT_LE(camera.cols.pixelsPerCell, HeatmapCamera::kMaxPixelsPerCell * (1 + 1e-9));
    EXPECT_NEAR(camera.rows.pixelsPerCell / camera.cols.pixelsPerCell, shape, 1e-9);
    EXPECT_EQ(camera.cellAt(300.5f, 200.5f, 4096, 1024, kPane), before);
    for (int i = 0; i < 100; ++i) camera.zoomAbout(0.5, 300.5f, 200.5f, 4096, 1024, kPane);
    EXPECT_NEAR(camera.rows.pixelsPerCell, 400.0 / 4096 / 4, 1e-9);
}

TEST(Camera, PanMovesByPixelsAndStaysOnTheMatrix) {
    HeatmapCamera camera;
    camera.fit(400, 512, kPane, false);
    camera.zoomAbout(4, 356, 250, 400, 512, kPane);
    const Cell before = camera.cellAt(300, 250, 400, 512, kPane);
    camera.pan(40, -20, 400, 512, kPane);
    EXPECT_EQ(camera.cellAt(340, 230, 400, 512, kPane), before);
    camera.pan(1e9f, 1e9f, 400, 512, kPane);
    EXPECT_DOUBLE_EQ(camera.cols.centre, 0);
    EXPECT_DOUBLE_EQ(camera.rows.centre, 0);
}

TEST(Camera, ResizingKeepsTheCentre) {
    HeatmapCamera camera;
    camera.fit(512, 512, kPane, false);
    camera.zoomAbout(3, 200, 200, 512, 512, kPane);
    const Cell before = camera.cellAt(100 + 256, 50 + 200, 512, 512, kPane);
    const PixelRect larger{100, 50, 900, 700};
    EXPECT_EQ(camera.cellAt(100 + 450, 50 + 350, 512, 512, larger), before);
}

TEST(Camera, CellRectIsTheInverseOfCellAt) {
    HeatmapCamera camera;
    camera.fit(37, 91, kPane, false);
    camera.zoomAbout(2.7, 400, 300, 37, 91, kPane);
    for (const Cell cell : {Cell{20, 50}, Cell{21, 52}, Cell{19, 49}}) {
        const PixelRect rect = camera.cellRect(cell, kPane);
        EXPECT_EQ(camera.cellAt(rect.x + rect.width / 2, rect.y + rect.height / 2, 37, 91, kPane), cell);
    }
}

}  // namespace
}  // namespace linscope::viz
