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
    EXPECT_DOUBLE_EQ(camera.cols.toPixel(64, kPane.width), 512);
    EXPECT_DOUBLE_EQ(camera.rows.toPixel(200, kPane.height), 400);
}

TEST(Camera, SquareCellsKeepTheirShapeAndLeaveAMargin) {
    HeatmapCamera camera;
    camera.fit(100, 100, kPane, true);
    EXPECT_DOUBLE_EQ(camera.rows.pixelsPerCell, camera.cols.pixelsPerCell);
    EXPECT_DOUBLE_EQ(camera.rows.pixelsPerCell, 4);
    EXPECT_FALSE(camera.cellAt(101, 200, 100, 100, kPane).valid()) << "left of the matrix, inside the pane";
    EXPECT_TRUE(camera.cellAt(356, 200, 100, 100, kPane).valid());
}

/// Both axes about a pixel, as a wheel does.
void zoom(HeatmapCamera& camera, double factor, float px, float py) {
    camera.rows.zoom(factor, py - kPane.y, kPane.height);
    camera.cols.zoom(factor, px - kPane.x, kPane.width);
}

TEST(Camera, ZoomKeepsTheCellUnderTheCursor) {
    HeatmapCamera camera;
    camera.fit(512, 512, kPane, false);
    const float px = 233.5f, py = 401.5f;
    const Cell before = camera.cellAt(px, py, 512, 512, kPane);
    for (int i = 0; i < 12; ++i) {
        zoom(camera, 1.3, px, py);
        EXPECT_EQ(camera.cellAt(px, py, 512, 512, kPane), before) << "zoom " << i;
    }
}

TEST(Camera, PanMovesByPixels) {
    HeatmapCamera camera;
    camera.fit(400, 512, kPane, false);
    zoom(camera, 4, 356, 250);
    const Cell before = camera.cellAt(300, 250, 400, 512, kPane);
    camera.cols.pan(40);
    camera.rows.pan(-20);
    EXPECT_EQ(camera.cellAt(340, 230, 400, 512, kPane), before);
}

TEST(Camera, ResizingKeepsTheCentre) {
    HeatmapCamera camera;
    camera.fit(512, 512, kPane, false);
    zoom(camera, 3, 200, 200);
    const Cell before = camera.cellAt(100 + 256, 50 + 200, 512, 512, kPane);
    const PixelRect larger{100, 50, 900, 700};
    EXPECT_EQ(camera.cellAt(100 + 450, 50 + 350, 512, 512, larger), before);
}

TEST(Camera, ToPixelIsTheInverseOfCellAt) {
    HeatmapCamera camera;
    camera.fit(37, 91, kPane, false);
    zoom(camera, 2.7, 400, 300);
    for (const Cell cell : {Cell{20, 50}, Cell{21, 52}, Cell{19, 49}}) {
        const double x = kPane.x + camera.cols.toPixel(double(cell.col) + 0.5, kPane.width);
        const double y = kPane.y + camera.rows.toPixel(double(cell.row) + 0.5, kPane.height);
        EXPECT_EQ(camera.cellAt(float(x), float(y), 37, 91, kPane), cell);
    }
}

}  // namespace
}  // namespace linscope::viz
