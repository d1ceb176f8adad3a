#include "app/panels/legend.h"

#include <gtest/gtest.h>

#include <QSignalSpy>
#include <QTest>
#include <QVBoxLayout>

#include "tests/app/app_test.h"

namespace linscope::app {
namespace {

std::vector<Legend::Entry> entries(int count, int overlaid = 0) {
    std::vector<Legend::Entry> made;
    for (int i = 0; i < count + overlaid; ++i)
        made.push_back({QPen(Qt::red), QString("another run / linformer k=%1").arg(i), i < count ? 0 : 1});
    return made;
}

TEST(Legend, TakesNoMoreThanItsRowsHoweverManyLinesThereAre) {
    testApplication();
    Legend legend;
    EXPECT_EQ(legend.heightForWidth(400), 0);
    legend.setEntries(entries(2));
    const int one = legend.heightForWidth(1200);
    legend.setEntries(entries(6, 30));
    EXPECT_LE(legend.heightForWidth(200), Legend::kRows * one);
    EXPECT_LE(legend.heightForWidth(400), Legend::kRows * one);
    EXPECT_GT(legend.heightForWidth(400), one);
}

TEST(Legend, HasTheHeightOfItsRowsInALayout) {
    testApplication();
    QWidget panel;
    auto* layout = new QVBoxLayout(&panel);
    auto* legend = new Legend;
    layout->addWidget(legend);
    layout->addWidget(new QWidget, 1);
    panel.resize(900, 400);
    legend->setEntries(entries(6));
    panel.show();
    for (const int width : {900, 260, 600}) {
        panel.resize(width, 400);
        QCoreApplication::processEvents();
        EXPECT_EQ(legend->height(), legend->heightForWidth(legend->width())) << width;
    }
}

TEST(Legend, OnlyALaidOverRunIsOfferedForRemoval) {
    testApplication();
    Legend legend;
    legend.setEntries(entries(1, 1));
    legend.resize(1200, legend.heightForWidth(1200));
    legend.show();
    QSignalSpy clicked(&legend, &Legend::overlayClicked);
    QTest::mouseClick(&legend, Qt::LeftButton, {}, QPoint(20, 8));
    EXPECT_EQ(clicked.count(), 0);
    QTest::mouseClick(&legend, Qt::LeftButton, {}, QPoint(230, 8));
    ASSERT_EQ(clicked.count(), 1);
    EXPECT_EQ(clicked[0][0].toInt(), 1);
}

}  // namespace
}  // namespace linscope::app
