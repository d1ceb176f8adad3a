#include "app/shell/main_window.h"

#include <gtest/gtest.h>

#include <QAction>
#include <QDockWidget>
#include <QElapsedTimer>
#include <QHelpEvent>
#include <QLabel>
#include <QSettings>
#include <QStatusTipEvent>
#include <QTextBrowser>
#include <QToolTip>
#include <QTreeView>

#include "app/panels/elided_label.h"
#include "app/panels/experiment_panel.h"
#include "app/panels/metrics_panel.h"
#include "app/panels/runs_panel.h"
#include "app/shell/central_widget.h"
#include "app/shell/guide_dialog.h"
#include "tests/app/app_test.h"

namespace linscope::app {
namespace {

TEST(MainWindow, OpensWithoutVulkanAndSaysWhatIsMissing) {
    qputenv("VK_DRIVER_FILES", "/nonexistent");
    qputenv("VK_ICD_FILENAMES", "/nonexistent");
    testApplication();
    Session session;
    MainWindow window(session, MainWindow::Memory::Fresh);
    window.show();
    EXPECT_FALSE(window.central().canvas().hasVulkan());
    EXPECT_FALSE(window.central().canvas().problem().isEmpty());
    EXPECT_FALSE(window.picture().isNull());
}

TEST(MainWindow, ClosesWithinTwoSecondsWhileTraining) {
    testApplication();
    QTemporaryDir folder;
    Session session;
    MainWindow window(session, MainWindow::Memory::Fresh);
    window.show();
    Session::StartOptions options;
    options.folder = folder.path();
    const int id = session.start(tinyExperiment(folder), options);
    ASSERT_TRUE(waitFor([&] { return session.run(id)->record.lastStep >= 3; })) << session.run(id)->error;
    EXPECT_TRUE(window.action("pause")->isEnabled());
    EXPECT_FALSE(window.action("run")->isEnabled());
    QElapsedTimer timer;
    timer.start();
    window.close();
    EXPECT_LT(timer.elapsed(), 2000);
    EXPECT_FALSE(session.run(id)->live());
    EXPECT_EQ(RunFileReader(session.run(id)->file).state(), RunState::Stopped);
}

TEST(MainWindow, ALaneIsChosenInTheListByTheArrowKeysToo) {
    testApplication();
    QTemporaryDir folder;
    Session session;
    MainWindow window(session, MainWindow::Memory::Fresh);
    Session::StartOptions options;
    options.folder = folder.path();
    const int id = session.start(tinyExperiment(folder), options);
    ASSERT_TRUE(waitFor([&] { return session.run(id)->record.lastStep >= 3; })) << session.run(id)->error;
    auto* panel = window.findChild<RunsPanel*>();
    auto* list = panel->findChild<QTreeView*>();
    const QModelIndex run = list->model()->index(0, 0);
    ASSERT_EQ(list->model()->rowCount(run), 2);
    std::vector<int> chosen;
    QObject::connect(panel, &RunsPanel::laneChosen, panel, [&](int lane) { chosen.push_back(lane); });
    for (const int lane : {0, 1, 0}) {
        list->setCurrentIndex(list->model()->index(lane, 0, run));
        EXPECT_EQ(session.selection().lane, lane);
    }
    EXPECT_EQ(chosen, (std::vector<int>{0, 1, 0}));
    session.selectHead(1, 0, 0);  // chosen elsewhere: the list follows, and asks for nothing
    EXPECT_EQ(list->currentIndex(), list->model()->index(1, 0, run));
    EXPECT_EQ(chosen.size(), 3U);
    session.shutdown();
}

TEST(MainWindow, FitsASmallScreenWithSixLanesAndAnotherRunLaidOver) {
    testApplication();
    QTemporaryDir folder;
    Session session;
    MainWindow window(session, MainWindow::Memory::Fresh);
    window.resize(1358, 728);  // a screen of 1366 × 768 without the desktop's frame
    window.action("layout")->trigger();
    window.show();
    Experiment experiment = tinyExperiment(folder);
    for (int lane = 2; lane < 6; ++lane) {
        experiment.lanes.push_back(experiment.lanes[1]);
        experiment.lanes.back().name = "linformer with a long name " + std::to_string(lane);
    }
    Session::StartOptions options;
    options.folder = folder.path();
    options.untilStep = 5;
    for (int run = 0; run < 2; ++run) {
        const int id = session.start(experiment, options);
        ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); })) << session.run(id)->error;
        session.overlays().lay(QString::fromStdString(session.run(id)->file.string()));
        ASSERT_TRUE(waitFor([&] { return !session.overlays().busy(); }));
    }
    waitFor([] { return false; }, 500);
    EXPECT_LE(window.height(), 728);
    EXPECT_LE(window.width(), 1358);
    EXPECT_LE(window.minimumSizeHint().height(), 728);
    EXPECT_GE(window.metricsPanel().frame("loss")->chart().height(), 120) << "the charts keep their room";
    session.shutdown();
}

TEST(MainWindow, LeavesRoomForMapsOnANarrowScreen) {
    testApplication();
    Session session;
    MainWindow window(session, MainWindow::Memory::Fresh);
    window.resize(1016, 660);
    window.action("layout")->trigger();
    window.show();
    waitFor([] { return false; }, 100);
    EXPECT_GE(window.central().width(), 560);
    EXPECT_TRUE(window.metricsPanel().isVisible());
}

TEST(MainWindow, RemembersItsLayoutUnlessItIsFresh) {
    testApplication();
    QSettings().clear();
    Session session;
    {
        MainWindow window(session, MainWindow::Memory::Remembered);
        window.show();
        window.findChild<QDockWidget*>("events")->hide();
        window.close();
    }
    {
        MainWindow window(session, MainWindow::Memory::Fresh);
        EXPECT_FALSE(window.findChild<QDockWidget*>("events")->isHidden());
        window.show();
        window.close();
    }
    MainWindow window(session, MainWindow::Memory::Remembered);
    EXPECT_TRUE(window.findChild<QDockWidget*>("events")->isHidden());
}

TEST(MainWindow, ALongMessageEndsWhereTheRunsStateBegins) {
    testApplication();
    Session session;
    MainWindow window(session, MainWindow::Memory::Fresh);
    window.resize(1016, 660);
    window.show();
    auto* message = window.findChild<ElidedLabel*>("message");
    const QString whole = QString("[experiment] a value of at most 8 was expected, but 9 was found ").repeated(5);
    window.showMessage(whole, true);
    waitFor([] { return false; }, 50);
    EXPECT_TRUE(message->isElided());
    EXPECT_EQ(message->text(), whole);
    EXPECT_LE(window.minimumSizeHint().width(), 1016);
    QStatusTipEvent tip("what an entry of a menu does");
    QApplication::sendEvent(&window, &tip);
    EXPECT_EQ(message->text(), tip.tip());
    QStatusTipEvent none("");
    QApplication::sendEvent(&window, &none);
    EXPECT_EQ(message->text(), whole) << "the menu is closed";
}

TEST(MainWindow, ALongToolTipHasSeveralLines) {
    testApplication();
    Session session;
    MainWindow window(session, MainWindow::Memory::Fresh);
    window.show();
    const auto shown = [&](const QString& text) {
        QWidget& widget = window.metricsPanel();
        widget.setToolTip(text);
        QHelpEvent asked(QEvent::ToolTip, QPoint(5, 5), widget.mapToGlobal(QPoint(5, 5)));
        QApplication::sendEvent(&widget, &asked);
        const QString told = QToolTip::text();
        QToolTip::hideText();
        waitFor([] { return QToolTip::text().isEmpty(); }, 1000);
        return told;
    };
    EXPECT_EQ(shown("short"), "short");
    EXPECT_TRUE(shown(QString("a long sentence < 3 ").repeated(9)).startsWith("<p "));
}

TEST(MainWindow, AGuideExplainsWhatTheCanvasCallsByName) {
    testApplication();
    const GuideDialog guide;
    const QString text = guide.findChild<QTextBrowser*>()->toPlainText();
    for (const char* name : {"lanes", "exact P", "compressed P̄", "lifted L = P̄F", "implied map L", "difference L − P",
                             "output error ε", "map error", "KL", "κ", "drift", "not an explanation"})
        EXPECT_TRUE(text.contains(name)) << name;
}

TEST(MainWindow, TellsWhatIsWrongWithAnExperimentFile) {
    testApplication();
    QTemporaryDir folder;
    const QString file = writeFile(folder, "bad.toml", "[task]\nlenght = 3\n");
    Session session;
    MainWindow window(session, MainWindow::Memory::Fresh);
    window.openDefaultExperiment();
    const std::string before = window.experimentPanel().draft().experiment().toToml();
    EXPECT_FALSE(window.openPath(file));
    EXPECT_EQ(window.experimentPanel().draft().experiment().toToml(), before);
}

TEST(MainWindow, RemembersRunFilesThatCouldBeReadAndThoseItTrained) {
    testApplication();
    QSettings().clear();
    QTemporaryDir folder;
    const QString file = writeFile(folder, "bad.h5", "no run");
    Session session;
    MainWindow window(session, MainWindow::Memory::Remembered);
    const auto recent = [] { return QSettings().value("recent").toStringList(); };
    window.openPath(file);
    ASSERT_TRUE(waitFor([&] { return !session.runs().front()->loading; }));
    EXPECT_TRUE(recent().isEmpty());

    Session::StartOptions options;
    options.folder = folder.path();
    options.untilStep = 2;
    const int id = session.start(tinyExperiment(folder), options);
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); })) << session.run(id)->error;
    const QString trained = QString::fromStdString(session.run(id)->file.string());
    EXPECT_EQ(recent(), QStringList{trained});
    session.close(id);
    QSettings().clear();
    window.openPath(trained);
    ASSERT_TRUE(waitFor([&] { return !session.runs().back()->loading; }));
    EXPECT_EQ(recent(), QStringList{trained});
    session.shutdown();
}

TEST(MainWindow, OffersToGoOnWithTheLastRun) {
    testApplication();
    QSettings().clear();
    QTemporaryDir folder;
    Session session;
    MainWindow window(session, MainWindow::Memory::Remembered);
    auto* offer = window.findChild<RunsPanel*>()->findChild<QLabel*>("offer");
    window.offerLastRun();
    EXPECT_TRUE(offer->isHidden()) << "there is none";

    const int id = session.start(tinyExperiment(folder), {.untilStep = 4, .folder = folder.path()});
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); })) << session.run(id)->error;
    session.close(id);
    window.offerLastRun();
    EXPECT_FALSE(offer->isHidden());
    Q_EMIT offer->linkActivated("on");
    EXPECT_TRUE(offer->isHidden());
    ASSERT_TRUE(waitFor([&] { return session.current() && session.current()->record.lastStep > 6; }));
    EXPECT_TRUE(session.current()->live());
    session.shutdown();
}

}  // namespace
}  // namespace linscope::app
