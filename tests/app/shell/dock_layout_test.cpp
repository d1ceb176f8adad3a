#include "app/shell/dock_layout.h"

#include <gtest/gtest.h>

#include <QAction>
#include <QDockWidget>
#include <QSettings>
#include <QTest>
#include <memory>

#include "app/shell/main_window.h"
#include "app/shell/theme.h"
#include "tests/app/app_test.h"

namespace linscope::app {
namespace {

constexpr QSize kSmall{1016, 660}, kLow{1358, 728}, kLarge{1600, 960};

class DockLayoutTest : public testing::Test {
protected:
    DockLayoutTest() {
        applyTheme(testApplication());  // with the fonts of the program
        QSettings().clear();
        open(kSmall);
        window->action("layout")->trigger();
    }
    ~DockLayoutTest() override { QSettings().clear(); }

    void open(QSize size) {
        window = std::make_unique<MainWindow>(session, MainWindow::Memory::Remembered);
        resize(size);
        window->show();
        settle();
    }
    void resize(QSize size) {
        window->resize(size);
        settle();
    }
    static void settle() {
        waitFor([] { return false; }, 250);
    }
    QDockWidget* dock(const char* name) { return window->findChild<QDockWidget*>(name); }
    bool share(const char* one, const char* other) {
        return window->tabifiedDockWidgets(dock(one)).contains(dock(other));
    }

    Session session;
    std::unique_ptr<MainWindow> window;
};

TEST_F(DockLayoutTest, DocksStandApartWhereThereIsRoomAndShareAPlaceWhereThereIsNone) {
    resize(kSmall);
    EXPECT_EQ(window->size(), kSmall) << "docks that share a place make no window wider";
    EXPECT_TRUE(share("metrics", "experiment"));
    EXPECT_TRUE(share("metrics", "projection"));
    EXPECT_TRUE(share("runs", "steer"));
    EXPECT_FALSE(share("runs", "experiment"));
    resize(kLow);
    EXPECT_TRUE(share("runs", "steer"));
    EXPECT_FALSE(share("metrics", "experiment"));
    EXPECT_TRUE(share("metrics", "projection"));
    resize(kLarge);
    EXPECT_FALSE(share("metrics", "experiment"));
    EXPECT_FALSE(share("metrics", "projection"));
    EXPECT_FALSE(share("runs", "steer"));
    EXPECT_GT(dock("metrics")->x(), window->width() / 2);
    resize(kSmall);
    EXPECT_TRUE(share("metrics", "experiment"));
}

TEST_F(DockLayoutTest, TheNextStartOnALargeScreenHasTheLayoutOfLargeScreens) {
    window->close();
    open(kLarge);
    EXPECT_FALSE(share("metrics", "experiment"));
    EXPECT_FALSE(share("metrics", "projection"));
}

TEST_F(DockLayoutTest, WhatAPersonArrangedStays) {
    const auto arrangements = {
        std::function<void()>([&] { window->addDockWidget(Qt::BottomDockWidgetArea, dock("metrics")); }),
        std::function<void()>([&] { dock("events")->toggleViewAction()->trigger(); }),
        std::function<void()>([&] { dock("steer")->close(); }), std::function<void()>([&] {
            QPoint at(0, 300);
            while (at.x() < window->width() && !window->isSeparator(at)) ++at.rx();
            ASSERT_TRUE(window->isSeparator(at));
            QTest::mousePress(window.get(), Qt::LeftButton, {}, at);
            QTest::mouseMove(window.get(), at + QPoint(20, 0));
            QTest::mouseRelease(window.get(), Qt::LeftButton, {}, at + QPoint(20, 0));
        })};
    for (const auto& arrange : arrangements) {
        resize(kSmall);
        window->action("layout")->trigger();
        settle();
        arrange();
        settle();
        resize(kLarge);
        EXPECT_TRUE(share("experiment", "projection"));
        window->close();
        open(kLarge);
        EXPECT_TRUE(share("experiment", "projection")) << "remembered";
        window->action("layout")->trigger();
        EXPECT_FALSE(share("experiment", "projection"));
    }
}

TEST_F(DockLayoutTest, ALayoutOfAnEarlierVersionIsTakenForAPersons) {
    window->close();
    QSettings().remove("window/arranged");
    open(kLarge);
    EXPECT_TRUE(share("metrics", "experiment"));
}

}  // namespace
}  // namespace linscope::app
