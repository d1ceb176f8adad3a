#include "app/panels/elided_label.h"

#include <gtest/gtest.h>

#include <QHelpEvent>
#include <QToolTip>

#include "app/shell/theme.h"
#include "tests/app/app_test.h"

namespace linscope::app {
namespace {

TEST(ElidedLabel, AsksForTheRoomThatItsTextNeeds) {
    applyTheme(testApplication());
    for (const QString state : {"running", "preparing", "waiting", "finished", "stopped", "cut off while writing"}) {
        ElidedLabel label;
        label.setText(state);
        label.ensurePolished();
        label.resize(label.sizeHint());
        EXPECT_EQ(label.shownText(), state);
    }
}

TEST(ElidedLabel, EndsWhereItHasNoRoomAndTellsTheRest) {
    testApplication();
    ElidedLabel label;
    const QString whole =
        "[run] a file that can be written was required, but <disk> is full, and it will stay so until somebody makes "
        "room\nand more";
    label.setText(whole);
    label.resize(label.sizeHint());
    EXPECT_FALSE(label.isElided());
    EXPECT_EQ(label.shownText(), whole.simplified()) << "one line";
    label.resize(120, 20);
    EXPECT_TRUE(label.isElided());
    EXPECT_TRUE(label.shownText().endsWith("…"));
    EXPECT_TRUE(label.shownText().startsWith("[run] a"));
    EXPECT_EQ(label.text(), whole);
    EXPECT_LT(label.minimumSizeHint().width(), 60) << "it makes no window wider";
    label.show();
    QHelpEvent asked(QEvent::ToolTip, QPoint(5, 5), label.mapToGlobal(QPoint(5, 5)));
    QApplication::sendEvent(&label, &asked);
    EXPECT_TRUE(QToolTip::text().contains("&lt;disk&gt; is full")) << QToolTip::text().toStdString();
    QToolTip::hideText();
}

}  // namespace
}  // namespace linscope::app
