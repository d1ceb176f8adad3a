#include "app/shell/theme.h"

#include <gtest/gtest.h>

#include <QAction>
#include <QPixmap>
#include <QSettings>
#include <algorithm>
#include <cmath>

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

TEST_F(ThemeTest, TextsAndCurvesAreSeenOnEitherGround) {
    for (const Look wanted : {Look::Dark, Look::Light}) {
        applyTheme(testApplication(), wanted);
        EXPECT_EQ(look(), wanted);
        const QPalette palette = QApplication::palette();
        // WCAG asks for 4.5 of texts.
        EXPECT_GE(contrast(palette.color(QPalette::WindowText), palette.color(QPalette::Window)), 4.5);
        EXPECT_GE(contrast(mutedColor(), palette.color(QPalette::Window)), 4.5);
        EXPECT_GE(contrast(errorColor(), palette.color(QPalette::Window)), 4.5);
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

TEST_F(ThemeTest, TheGroundIsChosenInTheWindowForTheNextStart) {
    applyTheme(testApplication(), Look::Dark);
    QSettings().clear();
    Session session;
    MainWindow window(session, MainWindow::Memory::Remembered);
    EXPECT_FALSE(window.action("light")->isChecked());
    window.action("light")->trigger();
    EXPECT_EQ(QSettings().value("theme").toString(), "light");
    EXPECT_EQ(look(), Look::Dark);
    QSettings().clear();
}

}  // namespace
}  // namespace linscope::app
