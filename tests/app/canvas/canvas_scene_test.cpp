#include "viz/canvas/canvas_scene.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <imgui.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include "core/base/error.h"
#include "tests/app/canvas/synthetic_snapshot.h"
#include "viz/canvas/canvas_renderer.h"
#include "viz/canvas/controls.h"
#include "viz/gpu/device.h"

namespace linscope::viz {
namespace {

/// The canvas without a window, with the validation layer watching: any message fails the test.
class CanvasSceneTest : public testing::Test {
protected:
    void SetUp() override {
        DeviceOptions options;
        options.validation = true;
        options.onMessage = [this](const DeviceMessage& message) {
            const std::lock_guard lock(lockMessages);
            messages.push_back(message.text);
        };
        try {
            device = std::make_unique<Device>(options);
        } catch (const Error& error) {
            GTEST_SKIP() << error.what();
        }
        canvas = std::make_unique<CanvasRenderer>(*device, VK_FORMAT_B8G8R8A8_UNORM, [] {});
        scene().model().setLanes({"full", "linformer k=16"});
    }
    void TearDown() override {
        canvas.reset();
        device.reset();
        EXPECT_THAT(messages, testing::IsEmpty());
    }
    CanvasScene& scene() { return canvas->scene(); }
    RgbaImage picture(std::uint32_t width = 1200, std::uint32_t height = 900, float scale = 1) {
        for (int frame = 0; frame < 3; ++frame) canvas->build({width, height}, scale);
        return canvas->grab();
    }
    void showLinformer() {
        scene().model().setSnapshot(test::syntheticSnapshot({.length = 96, .slots = 16, .heads = 2, .headWidth = 8}));
        waitForMaps();
    }
    void waitForMaps() {
        for (int wait = 0; wait < 5000 && scene().model().busy(); ++wait)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        scene().model().update();
    }
    /// Colours, greys apart, in the middle of the pane's quarter of the page, left of the tools.
    static int coloursIn(const RgbaImage& image, int quarter) {
        std::set<std::uint32_t> colours;
        const int pageWidth = image.width - 332, pageHeight = image.height - 54;
        const int left = (quarter % 2) * pageWidth / 2 + pageWidth / 8,
                  top = 44 + (quarter / 2) * pageHeight / 2 + pageHeight / 8;
        for (int y = top; y < top + pageHeight / 4; ++y)
            for (int x = left; x < left + pageWidth / 4; ++x) {
                const std::uint8_t* pixel = image.at(x, y);
                const auto [least, most] = std::minmax({pixel[0], pixel[1], pixel[2]});
                if (most - least < 40) continue;  // texts and lines are nearly grey
                colours.insert(pixel[0] | pixel[1] << 8U | pixel[2] << 16U);
            }
        return static_cast<int>(colours.size());
    }

    std::mutex lockMessages;
    std::vector<std::string> messages;
    std::unique_ptr<Device> device;
    std::unique_ptr<CanvasRenderer> canvas;
};

TEST_F(CanvasSceneTest, AllFourPanesShowAPicture) {
    showLinformer();
    const RgbaImage image = picture();
    for (int pane = 0; pane < 4; ++pane) EXPECT_GT(coloursIn(image, pane), 25) << "pane " << pane;
}

TEST_F(CanvasSceneTest, FullAttentionHasOnePictureAndThreeSentences) {
    scene().model().setSnapshot(test::syntheticSnapshot({.length = 96, .slots = 0, .heads = 2, .lane = 0}));
    waitForMaps();
    const RgbaImage image = picture();
    EXPECT_GT(coloursIn(image, 0), 25);
    for (int pane = 1; pane < 4; ++pane) EXPECT_LT(coloursIn(image, pane), 5) << "pane " << pane;
}

TEST_F(CanvasSceneTest, NothingYetIsDrawnToo) {
    EXPECT_EQ(picture().width, 1200);
    scene().model().setPage(CanvasPage::Projection);
    EXPECT_EQ(picture().width, 1200);
}

TEST_F(CanvasSceneTest, AnySizeAndScaleCanBeDrawn) {
    showLinformer();
    for (const auto& [width, height, scale] : {std::tuple{1U, 1U, 1.0F},
                                               {60U, 900U, 1.0F},
                                               {1600U, 40U, 1.0F},
                                               {430U, 330U, 1.0F},
                                               {900U, 700U, 1.25F},
                                               {2000U, 1500U, 2.0F},
                                               {1200U, 900U, 1.0F}}) {
        const RgbaImage image = picture(width, height, scale);
        EXPECT_EQ(image.width, static_cast<int>(width));
    }
}

TEST_F(CanvasSceneTest, HoveringMarksTheSameRowInEveryPaneAndTheKeyWhereThereIsOne) {
    showLinformer();
    picture();
    ImGuiHost& host = canvas->host();
    host.mouseMoved(230, 230);  // in the exact map
    picture();
    const CanvasCursor exact = scene().model().cursor;
    EXPECT_GE(exact.row, 0);
    EXPECT_GE(exact.key, 0);
    EXPECT_EQ(exact.slot, -1);
    host.mouseMoved(230 + (1200 - 332 + 10) / 2.0F, 230);  // the same height in the compressed map
    picture();
    const CanvasCursor compressed = scene().model().cursor;
    EXPECT_EQ(compressed.row, exact.row);
    EXPECT_EQ(compressed.key, -1);
    EXPECT_GE(compressed.slot, 0);
    host.mouseGone();
    picture();
    EXPECT_EQ(scene().model().cursor.row, -1);
}

TEST_F(CanvasSceneTest, ANarrowCanvasHasItsToolsOverThePageWhenTheyAreAskedFor) {
    showLinformer();
    constexpr int kWidth = 620, kHeight = 560;
    const RgbaImage before = picture(kWidth, kHeight);
    ImGuiHost& host = canvas->host();
    const auto clickTools = [&] {
        host.mouseMoved(kWidth - 40, 22);
        picture(kWidth, kHeight);
        host.mouseButton(0, true);
        picture(kWidth, kHeight);
        host.mouseButton(0, false);
        return picture(kWidth, kHeight);
    };
    const auto differs = [&](const RgbaImage& image, int x) {
        int others = 0;
        for (int y = 100; y < kHeight - 60; ++y)
            others += !std::equal(image.at(x, y), image.at(x, y) + 3, before.at(x, y));
        return others;
    };
    const RgbaImage over = clickTools();
    EXPECT_GT(differs(over, kWidth - 150), 50);
    const int margin = kWidth - 10 - 312 + 5;  // of the tools, left of all that is in them
    for (int y = 60; y < kHeight - 30; ++y)
        ASSERT_TRUE(std::equal(over.at(margin, y), over.at(margin, y) + 3, over.at(margin, 60)))
            << "a map shines through";
    EXPECT_EQ(differs(over, 150), 0) << "the page keeps its place below them";
    host.mouseMoved(kWidth - 150, kHeight / 2);
    picture(kWidth, kHeight);
    EXPECT_EQ(scene().model().cursor.row, -1) << "what is under the tools is not pointed at";
    EXPECT_TRUE(scene().key(CanvasKey::Release)) << "Esc closes them too";
    EXPECT_EQ(differs(picture(kWidth, kHeight), kWidth - 150), 0);
    clickTools();
    clickTools();
    host.mouseGone();
    EXPECT_EQ(differs(picture(kWidth, kHeight), kWidth - 150), 0);
}

TEST_F(CanvasSceneTest, WheelZoomsDragPansDoubleClickFits) {
    showLinformer();
    picture();
    ImGuiHost& host = canvas->host();
    const LinkedView& view = scene().model().view();
    const double fitted = view.rows().pixelsPerCell;
    host.mouseMoved(230, 230);
    picture();
    host.wheel(0, 8);
    picture();
    EXPECT_GT(view.rows().pixelsPerCell, fitted * 2);
    const double centre = view.rows().centre;
    host.mouseButton(0, true);
    picture();
    host.mouseMoved(230, 180);
    picture();
    host.mouseButton(0, false);
    picture();
    EXPECT_GT(view.rows().centre, centre);
    std::this_thread::sleep_for(std::chrono::milliseconds(400));  // longer than a double click
    for (int click = 0; click < 2; ++click) {
        host.mouseButton(0, true);
        canvas->build({1200, 900}, 1);
        host.mouseButton(0, false);
        canvas->build({1200, 900}, 1);
    }
    EXPECT_TRUE(view.fitted());
    EXPECT_FALSE(scene().model().cursor.pinned);
}

TEST_F(CanvasSceneTest, AClickOnAnotherPageIsTold) {
    showLinformer();
    picture();
    std::vector<CanvasPage> pages;
    scene().model().onPage = [&] { pages.push_back(scene().model().page()); };
    ImGuiHost& host = canvas->host();
    for (const float x : {140.0F, 140.0F, 50.0F}) {  // projection, which is there already the second time, and maps
        host.mouseMoved(x, 22);
        picture();
        host.mouseButton(0, true);
        picture();
        host.mouseButton(0, false);
        picture();
    }
    EXPECT_EQ(pages, (std::vector{CanvasPage::Projection, CanvasPage::Maps}));
}

TEST_F(CanvasSceneTest, SingleCellsPrintTheirValues) {
    showLinformer();
    picture();
    for (int step = 0; step < 30; ++step) scene().key(CanvasKey::ZoomIn);
    EXPECT_GT(scene().model().view().rows().pixelsPerCell, 40);
    picture();
    EXPECT_TRUE(scene().key(CanvasKey::Fit));
    EXPECT_TRUE(scene().model().view().fitted());
}

TEST_F(CanvasSceneTest, KeysChooseHeadsAndMoveThePinnedCursor) {
    showLinformer();
    picture();
    EXPECT_FALSE(scene().key(CanvasKey::Right)) << "without a cursor an arrow key belongs to someone else";
    scene().key(CanvasKey::NextHead);
    EXPECT_EQ(scene().model().choice().head, 1);
    scene().key(CanvasKey::NextLayer);
    EXPECT_EQ(scene().model().choice().layer, 1);
    scene().model().cursor = {.row = 95, .key = 3};
    EXPECT_TRUE(scene().key(CanvasKey::Down));
    EXPECT_TRUE(scene().key(CanvasKey::Right));
    EXPECT_EQ(scene().model().cursor.row, 95);
    EXPECT_EQ(scene().model().cursor.key, 4);
    EXPECT_TRUE(scene().model().cursor.pinned);
}

TEST_F(CanvasSceneTest, TheProjectionPageShowsEAndF) {
    showLinformer();
    scene().model().setPage(CanvasPage::Projection);
    waitForMaps();
    const RgbaImage image = picture();
    EXPECT_GT(coloursIn(image, 0), 25);
    EXPECT_GT(coloursIn(image, 2), 25);
    for (int step = 0; step < 40; ++step) scene().key(CanvasKey::ZoomIn);
    picture();
}

TEST_F(CanvasSceneTest, TheLanesPageShowsEveryLaneWithOneCursorAndZoom) {
    scene().model().setPage(CanvasPage::Lanes);
    scene().model().setSnapshot(
        test::syntheticSnapshot({.length = 96, .slots = 0, .heads = 2, .headWidth = 8, .lane = 0}));
    showLinformer();
    const RgbaImage image = picture(1600, 700);
    EXPECT_GT(coloursIn(image, 0), 25);
    EXPECT_GT(coloursIn(image, 1), 25);
    const auto reds = [](const RgbaImage& in) {
        int count = 0;
        for (int y = 44; y < 80; ++y)
            for (int x = 0; x < in.width; ++x) count += in.at(x, y)[0] > 200 && in.at(x, y)[1] < 40;
        return count;
    };
    EXPECT_EQ(reds(image), 0);
    ImGuiHost& host = canvas->host();
    host.mouseMoved(300, 300);
    picture(1600, 700);
    EXPECT_GE(scene().model().cursor.key, 0);
    host.wheel(0, 8);
    picture(1600, 700);
    EXPECT_FALSE(scene().model().view().fitted());
    scene().model().setLanes({"full", "linformer k=16"}, {{1, 0, 0}, {0, 0, 1}});
    EXPECT_GT(reds(picture(1600, 700)), 40) << "the lane's colour beside its name";
}

TEST(ListsThatFit, LeaveRoomForTheButtonThatHasTheOthers) {
    const std::array<float, 3> widths{100, 90, 80};
    EXPECT_EQ(listsThatFit(270, widths, 30), 3U) << "all: no button";
    EXPECT_EQ(listsThatFit(269, widths, 30), 2U);
    EXPECT_EQ(listsThatFit(219, widths, 30), 1U);
    EXPECT_EQ(listsThatFit(100, widths, 30), 0U);
}

TEST_F(CanvasSceneTest, InANarrowBarHeadAndSampleAreStillChosen) {
    showLinformer();
    ImGuiHost& host = canvas->host();
    const auto click = [&](float x, float y) {
        host.mouseMoved(x, y);
        picture(592, 560);
        host.mouseButton(0, true);
        picture(592, 560);
        host.mouseButton(0, false);
        picture(592, 560);
    };
    bool open = false;
    for (float x = 516; x > 436 && !open; x -= 6) {  // leftwards from "Tools": "…"
        click(x, 22);
        open = host.closePopups();
    }
    EXPECT_TRUE(open) << "a list of the lists that have no room";
    picture(592, 560);
}

TEST(LanesGrid, GivesPlotsTheLongestSides) {
    EXPECT_EQ(gridColumns(1, {1000, 600}, 10), 1);
    EXPECT_EQ(gridColumns(2, {1200, 600}, 10), 2);
    EXPECT_EQ(gridColumns(2, {500, 1000}, 10), 1);
    EXPECT_EQ(gridColumns(3, {1500, 500}, 10), 3);
    EXPECT_EQ(gridColumns(3, {900, 800}, 10), 2);
    EXPECT_EQ(gridColumns(6, {1200, 800}, 10), 3);
}

TEST_F(CanvasSceneTest, TheWheelOverAListChoosesNothing) {
    showLinformer();
    picture();
    const HeadChoice before = scene().model().choice();
    ImGuiHost& host = canvas->host();
    for (float x = 240; x < 760; x += 20) {  // all lists of the bar
        host.mouseMoved(x, 22);
        picture();
        host.wheel(0, x < 500 ? 1 : -1);
        picture();
    }
    EXPECT_EQ(scene().model().choice(), before);
}

TEST_F(CanvasSceneTest, EscClosesAnOpenListBeforeItFreesTheCursor) {
    showLinformer();
    picture();
    ImGuiHost& host = canvas->host();
    const auto open = [&] {
        host.makeCurrent();
        return ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopupId | ImGuiPopupFlags_AnyPopupLevel);
    };
    host.mouseMoved(330, 22);  // the list of lanes
    picture();
    host.mouseButton(0, true);
    picture();
    host.mouseButton(0, false);
    picture();
    ASSERT_TRUE(open());
    scene().model().cursor = {.row = 1, .key = 1, .pinned = true};
    EXPECT_TRUE(scene().key(CanvasKey::Release));
    picture();
    EXPECT_FALSE(open());
    EXPECT_EQ(scene().model().cursor.row, 1);
    EXPECT_TRUE(scene().key(CanvasKey::Release));
    EXPECT_EQ(scene().model().cursor.row, -1);
}

TEST_F(CanvasSceneTest, ALightGroundIsLightBesideTheMaps) {
    showLinformer();
    for (const bool light : {false, true}) {
        if (light) canvas->host().setTheme(lightTheme());
        const RgbaImage image = picture();
        for (const auto& [x, y] : {std::pair{3, 300}, {20, 300}, {1000, 500}})  // ground, card, tools
            EXPECT_EQ(image.at(x, y)[1] > 128, light) << x << ", " << y;
    }
}

TEST_F(CanvasSceneTest, EveryScaleAndColourMapDraws) {
    showLinformer();
    for (const ScaleKind kind : {ScaleKind::Linear, ScaleKind::Log, ScaleKind::Arcsinh, ScaleKind::Diverging}) {
        scene().model().colouring().setKind(kind);
        picture();
    }
    for (const ColourMap& map : colourMaps()) {
        scene().model().colouring().setColours(map.name());
        picture();
    }
}

TEST_F(CanvasSceneTest, SettingsComeBack) {
    showLinformer();
    picture();
    scene().key(CanvasKey::NextHead);
    waitForMaps();
    scene().key(CanvasKey::ZoomIn);
    scene().model().colouring().setKind(ScaleKind::Log);
    const CanvasSettings saved = scene().settings();
    CanvasRenderer other(*device, VK_FORMAT_B8G8R8A8_UNORM, [] {});
    other.scene().model().setLanes({"full", "linformer k=16"});
    other.scene().restore(saved);
    other.scene().model().setSnapshot(test::syntheticSnapshot({.length = 96, .slots = 16, .heads = 2, .headWidth = 8}));
    while (other.scene().model().busy()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    for (int frame = 0; frame < 2; ++frame) other.build({1200, 900}, 1);
    EXPECT_EQ(other.scene().model().choice().head, 1);
    EXPECT_EQ(other.scene().model().colouring().kind(), ScaleKind::Log);
    EXPECT_NEAR(other.scene().model().view().rows().pixelsPerCell, scene().model().view().rows().pixelsPerCell, 1e-6);
}

}  // namespace
}  // namespace linscope::viz
