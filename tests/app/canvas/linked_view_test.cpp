#include "viz/canvas/linked_view.h"

#include <gtest/gtest.h>

#include <limits>

#include "viz/canvas/axis_ticks.h"

namespace linscope::viz {
namespace {

LinkedView made() {
    LinkedView view;
    view.setPane(600, 400);
    view.setCells(512, 64);
    return view;
}

TEST(LinkedView, FitShowsEveryTokenInTheSameSquareForKeysAndSlots) {
    const LinkedView view = made();
    EXPECT_DOUBLE_EQ(view.rows().pixelsPerCell, 400.0 / 512);
    EXPECT_DOUBLE_EQ(view.columns(ColumnAxis::Keys).pixelsPerCell, view.rows().pixelsPerCell);
    EXPECT_NEAR(view.rows().toPixel(0, 400), 0, 1e-9);
    EXPECT_NEAR(view.rows().toPixel(512, 400), 400, 1e-9);
    EXPECT_NEAR(view.columns(ColumnAxis::Keys).toPixel(0, 600), view.columns(ColumnAxis::Slots).toPixel(0, 600), 1e-9);
    EXPECT_NEAR(view.columns(ColumnAxis::Keys).toPixel(512, 600), view.columns(ColumnAxis::Slots).toPixel(64, 600),
                1e-9);
}

TEST(LinkedView, ZoomKeepsTheCellUnderTheCursorAndTokensSquare) {
    LinkedView view = made();
    const double row = view.rows().toCell(130, 400), key = view.columns(ColumnAxis::Keys).toCell(250, 600);
    view.zoom(ColumnAxis::Keys, 4, 250, 130);
    EXPECT_NEAR(view.rows().toCell(130, 400), row, 1e-9);
    EXPECT_NEAR(view.columns(ColumnAxis::Keys).toCell(250, 600), key, 1e-9);
    EXPECT_DOUBLE_EQ(view.rows().pixelsPerCell, view.columns(ColumnAxis::Keys).pixelsPerCell);
    EXPECT_FALSE(view.fitted());
}

TEST(LinkedView, ZoomInTheCompressedPaneLinksRowsAndLeavesTheKeysMiddle) {
    LinkedView view = made();
    const double slot = view.columns(ColumnAxis::Slots).toCell(300, 600), row = view.rows().toCell(100, 400);
    view.zoom(ColumnAxis::Slots, 3, 300, 100);
    EXPECT_NEAR(view.columns(ColumnAxis::Slots).toCell(300, 600), slot, 1e-9);
    EXPECT_NEAR(view.rows().toCell(100, 400), row, 1e-9);
    EXPECT_DOUBLE_EQ(view.columns(ColumnAxis::Keys).centre, 256);
    EXPECT_DOUBLE_EQ(view.columns(ColumnAxis::Keys).pixelsPerCell, view.rows().pixelsPerCell);
}

TEST(LinkedView, ZoomInATokenMapLeavesAllSlotsInSight) {
    LinkedView view = made();
    view.zoom(ColumnAxis::Keys, 40, 100, 100);
    const CameraAxis& slots = view.columns(ColumnAxis::Slots);
    EXPECT_NEAR(slots.toPixel(0, 600), 100, 1e-9) << "as when it is fitted: a square of 400 in a pane of 600";
    EXPECT_NEAR(slots.toPixel(64, 600), 500, 1e-9);
    view.setPane(900, 500);
    EXPECT_NEAR(slots.toPixel(64, 900) - slots.toPixel(0, 900), 500, 1e-9);
    view.setCells(512, 32);
    EXPECT_NEAR(slots.toPixel(32, 900) - slots.toPixel(0, 900), 500, 1e-9);
}

TEST(LinkedView, SlotsGetRoomForTheirValuesInTheirOwnPane) {
    LinkedView view = made();
    view.zoom(ColumnAxis::Slots, 1e9, 300, 200);
    EXPECT_GE(view.columns(ColumnAxis::Slots).pixelsPerCell, 40);
    EXPECT_LT(view.columns(ColumnAxis::Slots).pixelsPerCell, 400);
    EXPECT_GE(view.rows().pixelsPerCell, 40);
    LinkedView other = made();
    other.setPlace(view.place());
    EXPECT_NEAR(other.columns(ColumnAxis::Slots).pixelsPerCell, view.columns(ColumnAxis::Slots).pixelsPerCell, 1e-9);
    view.zoom(ColumnAxis::Slots, 1e-9, 300, 200);
    EXPECT_TRUE(view.fitted());
}

TEST(LinkedView, PanInTheCompressedPaneMovesNoKeys) {
    LinkedView view = made();
    view.zoom(ColumnAxis::Keys, 8, 300, 200);
    const double key = view.columns(ColumnAxis::Keys).centre, row = view.rows().centre;
    view.pan(ColumnAxis::Slots, 20, 40);
    EXPECT_DOUBLE_EQ(view.columns(ColumnAxis::Keys).centre, key);
    EXPECT_LT(view.rows().centre, row);
}

TEST(LinkedView, NeitherZoomNorPanLosesThePicture) {
    LinkedView view = made();
    view.zoom(ColumnAxis::Keys, 1e9, 1, 1);
    EXPECT_GE(view.rows().pixelsPerCell, 40) << "single cells must get room for their values";
    EXPECT_LT(view.rows().pixelsPerCell, 400);
    view.pan(ColumnAxis::Keys, 1e12, -1e12);
    EXPECT_GE(view.columns(ColumnAxis::Keys).centre, 0);
    EXPECT_LE(view.rows().centre, 512);
    view.zoom(ColumnAxis::Keys, 1e-9, 300, 200);
    EXPECT_TRUE(view.fitted());
}

TEST(LinkedView, AFittedViewFollowsThePaneAnotherKeepsItsPlace) {
    LinkedView view = made();
    view.setPane(800, 700);
    EXPECT_DOUBLE_EQ(view.rows().pixelsPerCell, 700.0 / 512);
    view.zoom(ColumnAxis::Keys, 10, 400, 350);
    const double scale = view.rows().pixelsPerCell, centre = view.rows().centre;
    view.setPane(500, 500);
    EXPECT_DOUBLE_EQ(view.rows().pixelsPerCell, scale);
    EXPECT_DOUBLE_EQ(view.rows().centre, centre);
}

TEST(LinkedView, APlaceIsRestored) {
    LinkedView view = made();
    view.zoom(ColumnAxis::Keys, 12, 100, 300);
    LinkedView other = made();
    other.setPlace(view.place());
    EXPECT_NEAR(other.rows().centre, view.rows().centre, 1e-9);
    EXPECT_NEAR(other.columns(ColumnAxis::Keys).pixelsPerCell, view.columns(ColumnAxis::Keys).pixelsPerCell, 1e-9);
}

TEST(LinkedView, RevealMovesOnlyWhenNeeded) {
    LinkedView view = made();
    view.zoom(ColumnAxis::Keys, 20, 300, 200);
    const double centre = view.rows().centre;
    view.reveal(ColumnAxis::Keys, static_cast<std::int64_t>(centre), -1);
    EXPECT_DOUBLE_EQ(view.rows().centre, centre);
    view.reveal(ColumnAxis::Keys, 511, 0);
    EXPECT_LE(view.rows().toPixel(512, 400), 400 + 1e-6);
    EXPECT_GE(view.columns(ColumnAxis::Keys).toPixel(0, 600), -1e-6);
}

TEST(AxisTicks, StepsAreRoundAndFarEnoughApart) {
    EXPECT_EQ(tickStep(1.0, 40), 50);
    EXPECT_EQ(tickStep(0.1, 40), 500);
    EXPECT_EQ(tickStep(50, 40), 1);
    EXPECT_EQ(ticks(3, 21, 5), (std::vector<std::int64_t>{5, 10, 15, 20}));
}

TEST(AxisTicks, NumbersAreShortAndHonest) {
    EXPECT_EQ(numberText(0), "0");
    EXPECT_EQ(numberText(-0.25), "−0.25");
    EXPECT_EQ(numberText(0.00001234, 3), "1.23e−05");
    EXPECT_EQ(numberText(1234, 3), "1234");
    EXPECT_EQ(numberText(std::numeric_limits<double>::quiet_NaN()), "NaN");
    EXPECT_EQ(numberText(-std::numeric_limits<double>::infinity()), "−Inf");
}

TEST(PlaceInCell, ANumberIsSeenWholeOrNotAtAll) {
    EXPECT_EQ(placeInCell(50, 40, 30, 400), 50) << "in the middle of a cell in sight";
    EXPECT_EQ(placeInCell(13, 40, 30, 400), 15) << "the edge cuts the cell: as far from its middle as is needed";
    EXPECT_EQ(placeInCell(388, 40, 30, 400), 385);
    EXPECT_EQ(placeInCell(5, 40, 30, 400), std::nullopt) << "what is seen of the cell has no room";
    EXPECT_EQ(placeInCell(50, 20, 30, 400), std::nullopt);
    EXPECT_EQ(placeInCell(5, 400, 30, 20), std::nullopt);
}

}  // namespace
}  // namespace linscope::viz
