#include "app/panels/projection_panel.h"

#include <gtest/gtest.h>

#include <QComboBox>
#include <QToolButton>

#include "tests/app/app_test.h"
#include "tests/core/io/synthetic_run.h"

namespace linscope::app {
namespace {

TEST(ProjectionPanel, ShowsTheChosenLanesMatrixAndSaysWhereThereIsNone) {
    testApplication();
    QTemporaryDir folder;
    Session session;
    ProjectionPanel panel(session);
    Session::StartOptions options;
    options.folder = folder.path();
    options.untilStep = 11;
    Experiment experiment = tinyExperiment(folder);
    experiment.lanes.push_back(experiment.lanes[1]);
    experiment.lanes.back().name = "another linformer";
    const int id = session.start(experiment, options);
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); })) << session.run(id)->error;
    auto* choice = panel.findChild<QComboBox*>();
    ASSERT_TRUE(waitFor([&] { return choice->count() > 0; }, 5000));

    for (const int lane : {1, 2, 1}) {
        session.selectHead(lane, 0, 0);
        EXPECT_EQ(panel.shownLabel().at(0), QChar('E')) << lane;
        EXPECT_EQ(choice->currentData().toPoint().x(), lane);
    }
    const QString picture = folder.filePath("projection.png");
    ASSERT_TRUE(panel.exportTo(picture, ChartFormat::Png));
    EXPECT_EQ(QImage(picture).text("Title"), "tiny");
    for (const ChartFormat format : {ChartFormat::Pdf, ChartFormat::Svg, ChartFormat::Csv})
        EXPECT_TRUE(panel.exportTo(folder.filePath("projection." + formatName(format).toLower()), format));
    QFile table(folder.filePath("projection.csv"));
    ASSERT_TRUE(table.open(QIODevice::ReadOnly));
    const QByteArray rows = table.readAll();
    EXPECT_TRUE(rows.startsWith("run,lane,matrix,step,measure,index,value\r\n"));
    EXPECT_TRUE(rows.contains(",linformer," + panel.shownLabel().toUtf8() + ",0,singular_value,1,"));
    QFile drawing(folder.filePath("projection.svg"));
    ASSERT_TRUE(drawing.open(QIODevice::ReadOnly));
    const QByteArray svg = drawing.readAll();
    for (const char* text : {"Spectrum", "Conditioning", "Drift", "subspace overlap"})
        EXPECT_TRUE(svg.contains(text)) << text;
    session.selectHead(0, 0, 0);
    EXPECT_TRUE(panel.shownLabel().isEmpty());
    EXPECT_TRUE(panel.findChild<QToolButton*>()->isHidden()) << "nothing to export";
    EXPECT_FALSE(panel.exportTo(picture, ChartFormat::Png)) << "there is nothing to show";
    EXPECT_TRUE(panel.absence().contains("“full”")) << panel.absence().toStdString();

    choice->setCurrentIndex(0);  // a person looks at another lane's all the same
    Q_EMIT choice->activated(0);
    const QString chosen = panel.shownLabel();
    EXPECT_FALSE(chosen.isEmpty());
    session.selectStep(5);
    EXPECT_EQ(panel.shownLabel(), chosen) << "and goes through the steps";
    session.shutdown();
}

// Labels are names of groups in a file that anybody may have written.
TEST(ProjectionPanel, ALabelThatOnlyLooksLikeALayersIsAName) {
    testApplication();
    QTemporaryDir folder;
    const QString file = folder.filePath("run.h5");
    const synthetic::Sizes sizes;
    const std::vector<std::string> labels{"E.layerX", "E.layer99999999999", "F.head"};
    {
        std::vector<LaneLayout> layouts = synthetic::layouts(sizes);
        layouts[1].projections.clear();
        ProbeEvent probe{.step = 5, .lane = 1};
        for (const std::string& label : labels) {
            layouts[1].projections.push_back(synthetic::projection(sizes, label.c_str(), 0.5F));
            probe.projections.push_back({.label = label, .slots = sizes.slots, .length = sizes.length});
        }
        RunFileWriter writer(file.toStdString(), synthetic::experiment(sizes), synthetic::SyntheticTask(sizes.length),
                             layouts);
        for (std::int64_t step = 1; step <= 5; ++step) writer.onEvent(synthetic::stepEvent(step));
        writer.onEvent(probe);
    }
    Session session;
    ProjectionPanel panel(session);
    const int id = session.open(file);
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->loading; }));
    ASSERT_EQ(session.run(id)->error, "");
    for (int layer = 0; layer < 2; ++layer) {
        session.selectHead(1, layer, 0);
        EXPECT_EQ(panel.shownLabel().at(0), QChar('E')) << "which all layers share, whatever it is called";
    }
}

}  // namespace
}  // namespace linscope::app
