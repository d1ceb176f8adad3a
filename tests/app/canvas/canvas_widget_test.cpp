#include "app/canvas/canvas_widget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <imgui.h>

#include <mutex>

#include "app/canvas/canvas_window.h"
#include "app/shell/theme.h"
#include "tests/app/canvas/synthetic_snapshot.h"
#include "viz/canvas/canvas_scene.h"
#include "viz/imgui/imgui_host.h"

// After viz: Qt's Vulkan header switches off the prototypes that viz needs.
#include <QApplication>
#include <QDockWidget>
#include <QLabel>
#include <QMainWindow>
#include <QShortcut>
#include <QSignalSpy>
#include <QTest>

namespace linscope::app {
namespace {

/// A main window with the canvas in its middle, the validation layer on: any message fails the test.
class CanvasWidgetTest : public testing::Test {
protected:
    void SetUp() override {
        viz::DeviceOptions options;
        options.validation = true;
        options.onMessage = [this](const viz::DeviceMessage& message) {
            const std::lock_guard lock(lockMessages);
            messages.push_back(message.text);
        };
        main = std::make_unique<QMainWindow>();
        canvas = new CanvasWidget(nullptr, options);
        if (!canvas->hasVulkan()) {
            delete canvas;
            canvas = nullptr;
            GTEST_SKIP() << "no Vulkan window here";
        }
        canvas->setLanes({"full", "linformer k=16"});
        canvas->setSnapshot(test::syntheticSnapshot({.length = 96, .slots = 16, .heads = 2, .headWidth = 8}));
        main->setCentralWidget(canvas);
        main->resize(1100, 800);
        main->show();
        ASSERT_TRUE(QTest::qWaitForWindowExposed(main.get()));
        ASSERT_TRUE(waitForFrames(3));
    }
    void TearDown() override {
        main.reset();
        EXPECT_THAT(messages, testing::IsEmpty());
    }
    bool waitForFrames(std::uint64_t count) {
        const std::uint64_t wanted = canvas->canvasWindow()->framesDrawn() + count;
        canvas->canvasWindow()->requestFrame(static_cast<int>(count));
        return QTest::qWaitFor([&] { return canvas->canvasWindow()->framesDrawn() >= wanted; }, 8000);
    }
    bool waitForQuiet() {
        return QTest::qWaitFor(
            [&, last = std::uint64_t{0}, quiet = 0]() mutable {
                const std::uint64_t now = canvas->canvasWindow()->framesDrawn();
                quiet = now == last && !canvas->busy() ? quiet + 1 : 0;
                last = now;
                return quiet > 20;
            },
            8000);
    }

    std::mutex lockMessages;
    std::vector<std::string> messages;
    std::unique_ptr<QMainWindow> main;
    CanvasWidget* canvas = nullptr;
};

TEST_F(CanvasWidgetTest, DrawsOnlyWhenSomethingHasChanged) {
    ASSERT_TRUE(waitForQuiet());
    const std::uint64_t before = canvas->canvasWindow()->framesDrawn();
    QTest::qWait(500);
    EXPECT_EQ(canvas->canvasWindow()->framesDrawn(), before);
    QTest::mouseMove(canvas->canvasWindow(), QPoint(300, 300));
    EXPECT_TRUE(QTest::qWaitFor([&] { return canvas->canvasWindow()->framesDrawn() > before; }, 2000));
}

TEST_F(CanvasWidgetTest, TakesTheGroundOfTheApplicationAtOnceEitherWay) {
    auto& application = *qobject_cast<QApplication*>(QCoreApplication::instance());
    for (const Look wanted : {Look::Light, Look::Dark}) {
        applyTheme(application, wanted);
        ASSERT_TRUE(waitForFrames(2));
        EXPECT_EQ(canvas->grabImage().pixelColor(2, 2).lightness() > 128, wanted == Look::Light);
        const QColor first = laneColor(0);
        const auto mark = canvas->canvasWindow()->scene().model().colourOf(0);
        ASSERT_TRUE(mark);
        EXPECT_NEAR(mark->red, first.redF(), 0.01);
        EXPECT_NEAR(mark->blue, first.blueF(), 0.01);
    }
}

TEST_F(CanvasWidgetTest, NeverMoreThanSixtyFramesASecond) {
    const std::uint64_t before = canvas->canvasWindow()->framesDrawn();
    QElapsedTimer timer;
    timer.start();
    while (timer.elapsed() < 700) {
        canvas->canvasWindow()->requestFrame(3);
        QTest::qWait(1);
    }
    const auto drawn = static_cast<double>(canvas->canvasWindow()->framesDrawn() - before);
    EXPECT_LE(drawn, 1.05 * 60.0 * static_cast<double>(timer.elapsed()) / 1000 + 3);
    EXPECT_GT(drawn, 3);
}

TEST_F(CanvasWidgetTest, SurvivesHidingDockingUndockingAndReparenting) {
    auto* dock = new QDockWidget("canvas", main.get());
    main->takeCentralWidget();
    dock->setWidget(canvas);
    main->addDockWidget(Qt::RightDockWidgetArea, dock);
    canvas->show();
    for (int round = 0; round < 3; ++round) {
        dock->setFloating(true);
        QTest::qWait(60);
        canvas->canvasWindow()->requestFrame(3);
        QTest::qWait(60);
        dock->setFloating(false);
        QTest::qWait(60);
        canvas->canvasWindow()->requestFrame(3);
        dock->hide();
        QTest::qWait(20);
        canvas->canvasWindow()->requestFrame(3);
        QTest::qWait(20);
        dock->show();
        QTest::qWait(60);
    }
    EXPECT_TRUE(waitForFrames(2));
    EXPECT_FALSE(canvas->grabImage().isNull());
}

TEST_F(CanvasWidgetTest, HidingFromInsideAFrameIsSafe) {
    QObject::connect(
        canvas, &CanvasWidget::frameDrawn, main.get(), [&] { main->hide(); }, Qt::SingleShotConnection);
    canvas->canvasWindow()->requestFrame(2);
    QTest::qWait(200);
    main->show();
    ASSERT_TRUE(QTest::qWaitForWindowExposed(main.get()));
    EXPECT_TRUE(waitForFrames(2));
}

TEST_F(CanvasWidgetTest, TheSwapchainGoesWithItsSurfaceAtOnce) {
    // What a reparented or full-screen window goes through on Wayland: no surface for a while.
    canvas->canvasWindow()->destroy();
    const std::uint64_t before = canvas->canvasWindow()->framesDrawn();
    canvas->canvasWindow()->requestFrame(3);
    QTest::qWait(100);
    EXPECT_EQ(canvas->canvasWindow()->framesDrawn(), before);
    canvas->canvasWindow()->show();
    EXPECT_TRUE(QTest::qWaitFor([&] { return canvas->canvasWindow()->isExposed(); }, 3000));
    EXPECT_TRUE(waitForFrames(2));
}

TEST_F(CanvasWidgetTest, EverySizeIsFollowed) {
    for (const QSize size : {QSize(400, 300), QSize(1300, 900), QSize(230, 180), QSize(1000, 700)}) {
        main->resize(size);
        QTest::qWait(80);
        ASSERT_TRUE(waitForFrames(2));
    }
    ASSERT_TRUE(waitForQuiet());
    EXPECT_EQ(canvas->grabImage().size(), canvas->canvasWindow()->size() * canvas->canvasWindow()->devicePixelRatio());
}

TEST_F(CanvasWidgetTest, WheelAndKeysReachTheCanvas) {
    ASSERT_TRUE(waitForQuiet());
    CanvasWindow& window = *canvas->canvasWindow();
    const viz::LinkedView& view = window.scene().model().view();
    QTest::mouseMove(&window, QPoint(200, 200));
    ASSERT_TRUE(waitForFrames(3));
    QWheelEvent wheel(QPointF(200, 200), window.mapToGlobal(QPointF(200, 200)), {}, {0, 600}, Qt::NoButton,
                      Qt::NoModifier, Qt::NoScrollPhase, false);
    QCoreApplication::sendEvent(&window, &wheel);
    ASSERT_TRUE(waitForFrames(3));
    EXPECT_FALSE(view.fitted());
    QTest::keyClick(&window, Qt::Key_F);
    EXPECT_TRUE(view.fitted());
    QSignalSpy chosen(canvas, &CanvasWidget::selectionChanged);
    QTest::keyClick(&window, Qt::Key_H);
    ASSERT_EQ(chosen.count(), 1);
    EXPECT_EQ(chosen.at(0).at(2).toInt(), 1);
    const int other = 1 - window.scene().model().choice().lane;
    canvas->chooseLane(other);  // as the list of runs does
    EXPECT_EQ(window.scene().model().choice().lane, other);
    ASSERT_EQ(chosen.count(), 2);
    EXPECT_EQ(chosen.at(1).at(0).toInt(), other);
}

TEST_F(CanvasWidgetTest, AKeyThatMeansNothingHereReachesTheMainWindowsShortcuts) {
    int run = 0;
    QShortcut shortcut(QKeySequence(Qt::Key_Space), main.get());
    QObject::connect(&shortcut, &QShortcut::activated, main.get(), [&] { ++run; });
    main->activateWindow();
    canvas->canvasWindow()->requestActivate();
    QTest::qWait(200);
    QTest::keyClick(canvas->canvasWindow(), Qt::Key_Space);
    EXPECT_EQ(run, 1);
}

TEST_F(CanvasWidgetTest, FocusOutLetsKeysGo) {
    CanvasWindow& window = *canvas->canvasWindow();
    QTest::keyPress(&window, Qt::Key_Left, Qt::ControlModifier);
    ASSERT_TRUE(waitForFrames(1));
    QFocusEvent out(QEvent::FocusOut);
    QCoreApplication::sendEvent(&window, &out);
    ASSERT_TRUE(waitForFrames(2));
    window.imgui().makeCurrent();
    EXPECT_FALSE(ImGui::GetIO().KeyCtrl);
    EXPECT_FALSE(ImGui::IsKeyDown(ImGui::GetKeyIndex(ImGuiKey_LeftArrow)));
}

TEST_F(CanvasWidgetTest, TheStateOfASessionComesBack) {
    ASSERT_TRUE(waitForQuiet());
    canvas->canvasWindow()->scene().key(viz::CanvasKey::NextHead);
    canvas->canvasWindow()->scene().model().colouring().setKind(viz::ScaleKind::Log);
    canvas->setPage(CanvasWidget::Page::Projection);
    const QVariantMap saved = canvas->saveState();
    CanvasWidget other;
    other.restoreState(saved);
    EXPECT_EQ(other.page(), CanvasWidget::Page::Projection);
    EXPECT_EQ(other.canvasWindow()->scene().model().colouring().kind(), viz::ScaleKind::Log);
    other.restoreState({{"scale", "no such scale"}, {"row", "x"}});
}

TEST(CanvasWithoutVulkan, SaysWhatIsMissingAndTakesAllCalls) {
    viz::DeviceOptions options;
    options.deviceName = "no such device";
    CanvasWidget canvas(nullptr, options);
    EXPECT_FALSE(canvas.hasVulkan());
    EXPECT_FALSE(canvas.problem().isEmpty());
    const auto* label = canvas.findChild<QLabel*>();
    ASSERT_NE(label, nullptr);
    EXPECT_TRUE(label->text().contains(canvas.problem()));
    canvas.setLanes({"full"});
    canvas.setSnapshot(test::syntheticSnapshot({.length = 16, .slots = 4}));
    canvas.setPage(CanvasWidget::Page::Projection);
    canvas.restoreState(canvas.saveState());
    EXPECT_TRUE(canvas.grabImage().isNull());
}

}  // namespace
}  // namespace linscope::app

int main(int argc, char** argv) {
    QApplication application(argc, argv);
    testing::InitGoogleMock(&argc, argv);
    return RUN_ALL_TESTS();
}
