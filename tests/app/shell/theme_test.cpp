#include "app/shell/theme.h"

#include <gtest/gtest.h>

#include <QAction>
#include <QCheckBox>
#include <QPixmap>
#include <QSettings>
#include <QTreeView>
#include <algorithm>
#include <cmath>

#include "app/panels/metrics_panel.h"
#include "app/shell/main_window.h"
#include "tests/app/app_test.h"

namespace linscope::app {
namespace {

class ThemeTest : public testing::Test {
protected:
    ThemeTest() { testApplication(); }
    ~ThemeTest() override { applyTheme(testApplication(), Look::Dark); }
};

/// As WCAG 2.1 has it: 1 for equal colours, 21 for black on white.
double contrast(const QColor& a, const QColor& b) {
    const auto luminance = [](const QColor& color) {
        const auto linear = [](double part) {
            return part <= 0.04045 ? part / 12.92 : std::pow((part + 0.055) / 1.055, 2.4);
        };
        return 0.2126 * linear(color.redF()) + 0.7152 * linear(color.greenF()) + 0.0722 * linear(color.blueF());
    };
    const double first = luminance(a) + 0.05, second = luminance(b) + 0.05;
    return std::max(first, second) / std::min(first, second);
}

QColor middle(const QIcon& icon) {
    return icon.pixmap(32, 32).toImage().pixelColor(16, 16);
}

/// The lightness of the lightest opaque pixel.
int brightest(const QIcon& icon) {
    const QImage image = icon.pixmap(64, 64).toImage();
    int most = 0;
    for (int y = 0; y < image.height(); ++y)
        for (int x = 0; x < image.width(); ++x)
            if (image.pixelColor(x, y).alpha() > 250) most = std::max(most, image.pixelColor(x, y).lightness());
    return most;
}

TEST_F(ThemeTest, TextsAndCurvesAreSeenOnEitherGround) {
    for (const Look wanted : {Look::Dark, Look::Light}) {
        applyTheme(testApplication(), wanted);
        EXPECT_EQ(look(), wanted);
        const QPalette palette = QApplication::palette();
        // WCAG asks for 4.5 of texts.
        EXPECT_GE(contrast(palette.color(QPalette::WindowText), palette.color(QPalette::Window)), 4.5);
        EXPECT_GE(contrast(mutedColor(), palette.color(QPalette::Window)), 4.5);
        EXPECT_GE(contrast(errorColor(), palette.color(QPalette::Window)), 4.5);
        // And 3 of signs.
        for (const QColor& sign : {warningColor(), goodColor()})
            EXPECT_GE(contrast(sign, palette.color(QPalette::Window)), 3);
        for (int lane = 0; lane < 6; ++lane) EXPECT_GE(contrast(laneColor(lane), plotColor()), 2) << lane;
    }
}

TEST_F(ThemeTest, LinesOfIconsHaveTheColourOfTexts) {
    for (const Look wanted : {Look::Dark, Look::Light}) {
        applyTheme(testApplication(), wanted);
        const QImage image = icon("open").pixmap(64, 64).toImage();
        bool lines = false;
        for (int y = 0; y < image.height(); ++y)
            for (int x = 0; x < image.width(); ++x) {
                const QColor pixel = image.pixelColor(x, y);
                if (pixel.alpha() < 250) continue;
                lines = true;
                EXPECT_EQ(pixel.lightness() > 128, wanted == Look::Dark);
            }
        EXPECT_TRUE(lines);
    }
}

TEST_F(ThemeTest, ABoxToCheckIsSeenOnEitherGround) {
    for (const Look wanted : {Look::Dark, Look::Light}) {
        applyTheme(testApplication(), wanted);
        QCheckBox box("a choice");
        box.ensurePolished();
        const auto most = [&] {
            const QImage image = box.grab().toImage();
            double found = 0;
            for (int y = 0; y < image.height(); ++y)
                for (int x = 0; x < 16; ++x)
                    found = std::max(found, contrast(image.pixelColor(x, y), image.pixelColor(image.width() - 1, 0)));
            return found;
        };
        EXPECT_GE(most(), 2) << "not checked";
        box.setChecked(true);
        EXPECT_GE(most(), 2.5);
    }
}

TEST_F(ThemeTest, TheGroundChangesAtOnceEitherWayAndIsRemembered) {
    applyTheme(testApplication(), Look::Dark);
    QSettings().clear();
    QTemporaryDir folder;
    Session session;
    MainWindow window(session, MainWindow::Memory::Remembered);
    window.openDefaultExperiment();
    window.show();
    const int id = session.start(tinyExperiment(folder), {.untilStep = 6, .folder = folder.path()});
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); })) << session.run(id)->error;
    ChartFrame& loss = *window.metricsPanel().frame("loss");
    waitFor([&] { return loss.chart().graphCount() > 0; });
    const auto charts = [&] { return window.findChildren<Chart*>(); };
    ASSERT_GE(charts().size(), 5);
    const auto isIn = [&](Look wanted) {
        EXPECT_EQ(look(), wanted);
        for (Chart* chart : charts()) {
            EXPECT_EQ(chart->xAxis->tickLabelColor(), mutedColor());
            EXPECT_EQ(chart->grab().toImage().pixelColor(1, 1), plotColor());
        }
        const auto entries = window.metricsPanel().legend().entries();
        ASSERT_EQ(entries.size(), 2U);
        for (int lane = 0; lane < 2; ++lane) {
            EXPECT_EQ(entries[lane].pen.color(), laneColor(lane));
            bool drawn = false;
            for (int i = 0; i < loss.chart().graphCount(); ++i)
                drawn = drawn || loss.chart().graph(i)->pen().color() == laneColor(lane);
            EXPECT_TRUE(drawn) << lane;
        }
        EXPECT_EQ(middle(laneSwatch(0)), laneColor(0));
        const QAbstractItemModel& runs = *window.findChild<QTreeView*>()->model();
        const QModelIndex lane = runs.index(0, 0, runs.index(0, 0));
        EXPECT_EQ(middle(lane.data(Qt::DecorationRole).value<QIcon>()), laneColor(0));
        EXPECT_EQ(brightest(window.action("open")->icon()) > 128, wanted == Look::Dark);
        EXPECT_EQ(window.action("light")->isChecked(), wanted == Look::Light);
        EXPECT_EQ(QSettings().value("theme", "dark").toString(), wanted == Look::Light ? "light" : "dark");
    };
    isIn(Look::Dark);
    for (const Look wanted : {Look::Light, Look::Dark, Look::Light}) {
        window.action("light")->trigger();
        isIn(wanted);
    }
    QSettings().clear();
    session.shutdown();
}

}  // namespace
}  // namespace linscope::app
