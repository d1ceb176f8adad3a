#include "app/panels/chart_marks.h"

#include <gtest/gtest.h>

#include "app/panels/chart.h"
#include "app/panels/run_marks.h"
#include "tests/app/app_test.h"

namespace linscope::app {
namespace {

RunRecord steered() {
    Experiment experiment;
    experiment.lanes = {{.name = "a", .mechanism = "full", .options = {}},
                        {.name = "b", .mechanism = "full", .options = {}}};
    RunRecord record = RunRecord::fromExperiment(experiment);
    record.apply(CommandEvent{.step = 10, .lane = -1, .name = "pause"});
    record.apply(
        CommandEvent{.step = 10, .lane = -1, .name = "set_learning_rate", .oldValue = "0.001", .newValue = "0.0005"});
    record.apply(CommandEvent{.step = 10, .lane = 1, .name = "freeze", .oldValue = "trained", .newValue = "frozen"});
    record.apply(CommandEvent{.step = 60, .name = "set_learning_rate", .oldValue = "0.0005", .newValue = "0.0005"});
    record.apply(CommandEvent{.step = 80, .lane = 1, .name = "unfreeze", .oldValue = "frozen", .newValue = "trained"});
    return record;
}

TEST(RunMarks, SayWhatChangedHowTheRunLearns) {
    const auto marks = runMarks(steered());
    ASSERT_EQ(marks.size(), 2U) << "a pause and a rate set again change nothing; changes of one step stand together";
    EXPECT_EQ(marks[0].x, 10);
    EXPECT_EQ(marks[0].text, "learning rate 0.001 → 0.0005, projections frozen · b");
    EXPECT_EQ(marks[1].text, "projections trained again · b");
}

TEST(ChartMarks, TextsDoNotRunIntoOneAnother) {
    testApplication();
    Chart chart;
    const QString first = "learning rate 0.001 → 0.0005", second = "learning rate 0.0005 → 0.001", third = "frozen";
    chart.setViewport(QRect(0, 0, 500, 70));
    QCPGraph* graph = chart.addCurve(QPen(Qt::white), "x");
    graph->setData({0, 1000}, {0, 1}, true);
    chart.refresh();
    chart.marks().set({{100, first, {}}, {130, second, {}}, {140, third, {}}, {990, "end", {}}});
    chart.replot();
    EXPECT_EQ(chart.marks().shownTexts(), (QStringList{first, "end"}));
    chart.setViewport(QRect(0, 0, 500, 200));
    chart.replot();
    EXPECT_EQ(chart.marks().shownTexts(), (QStringList{first, second, "end"})) << "a second row where there is height";
    EXPECT_EQ(chart.marks().textNear(141), third) << "what has no room is told";
    EXPECT_EQ(chart.marks().textNear(600), "");
    chart.xAxis->setRange(120, 1000);
    chart.replot();
    EXPECT_EQ(chart.marks().shownTexts(), (QStringList{second, third, "end"}));
    chart.marks().set({});
    EXPECT_TRUE(chart.marks().shownTexts().isEmpty());
}

}  // namespace
}  // namespace linscope::app
