#include "app/panels/metrics_panel.h"

#include <gtest/gtest.h>

#include <QElapsedTimer>
#include <QFile>
#include <cmath>

#include "app/shell/theme.h"
#include "tests/app/app_test.h"

namespace linscope::app {
namespace {

QByteArray read(const QString& path) {
    QFile file(path);
    EXPECT_TRUE(file.open(QIODevice::ReadOnly));
    return file.readAll();
}

TEST(MetricsPanel, ShowsNoBitsPerByteWhereAnswersAreNoBytes) {
    testApplication();
    QTemporaryDir folder;
    Session session;
    MetricsPanel panel(session);
    const QStringList ofBytes{"loss", "validation_bits_per_byte"};
    EXPECT_EQ(panel.shownMetrics(), ofBytes);
    Session::StartOptions options;
    options.folder = folder.path();
    options.untilStep = 1;
    Experiment experiment = tinyExperiment(folder);
    experiment.set("task.name", "induction");
    const int id = session.start(experiment, options);
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); })) << session.run(id)->error;
    const QStringList ofOthers{"loss", "validation_accuracy"};
    EXPECT_TRUE(waitFor([&] { return panel.shownMetrics() == ofOthers; }));
    EXPECT_EQ(panel.saveState()["metrics"].toStringList(), ofBytes);
    const int other = session.start(tinyExperiment(folder), options);
    ASSERT_TRUE(waitFor([&] { return !session.run(other)->live(); })) << session.run(other)->error;
    EXPECT_TRUE(waitFor([&] { return panel.shownMetrics() == ofBytes; }));
}

TEST(MetricsPanel, ExportsWhatItShows) {
    testApplication();
    QTemporaryDir folder;
    Session session;
    MetricsPanel panel(session);
    panel.resize(400, 500);
    Session::StartOptions options;
    options.folder = folder.path();
    options.untilStep = 6;
    const int id = session.start(tinyExperiment(folder), options);
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); })) << session.run(id)->error;

    panel.setMetrics({"loss", "accuracy"});
    ASSERT_TRUE(panel.exportTo(folder.filePath("out.csv"), ChartFormat::Csv));
    QFile file(folder.filePath("out.csv"));
    ASSERT_TRUE(file.open(QIODevice::ReadOnly));
    const QStringList lines = QString::fromUtf8(file.readAll()).split("\r\n", Qt::SkipEmptyParts);
    ASSERT_EQ(lines.size(), 1 + 2 * 6);
    EXPECT_EQ(lines[0], "step,lane,run,task,loss,accuracy");
    const QString stem = QString::fromStdString(session.run(id)->file.stem().string());
    EXPECT_TRUE(lines[1].startsWith("1,full," + stem + ",masked_bytes,")) << lines[1].toStdString();
    EXPECT_TRUE(lines[12].startsWith("6,linformer,"));
    EXPECT_EQ(lines[1].split(',')[4].toDouble(), findSeries(session.run(id)->record.lanes[0], "loss")->values[0]);

    ASSERT_TRUE(panel.exportTo(folder.filePath("out.png"), ChartFormat::Png));
    const QImage picture(folder.filePath("out.png"));
    EXPECT_GT(picture.width(), 100);
    EXPECT_EQ(picture.text("Title"), "tiny");
    EXPECT_EQ(picture.text("Run"), "masked_bytes · " + stem + ".h5 · step 6");

    ASSERT_TRUE(panel.exportTo(folder.filePath("loss.csv"), ChartFormat::Csv, "loss"));
    EXPECT_TRUE(read(folder.filePath("loss.csv")).startsWith("step,lane,run,task,loss\r\n"));
    ASSERT_TRUE(panel.exportTo(folder.filePath("loss.png"), ChartFormat::Png, "loss"));
    EXPECT_LT(QImage(folder.filePath("loss.png")).height(), picture.height());
    EXPECT_FALSE(panel.exportTo(folder.filePath("nothing.png"), ChartFormat::Png, "perplexity")) << "it is not shown";
    EXPECT_FALSE(panel.exportTo(folder.filePath("none/loss.pdf"), ChartFormat::Pdf));
    EXPECT_TRUE(QApplication::topLevelWidgets().contains(&panel));
    for (const QWidget* window : QApplication::topLevelWidgets()) EXPECT_FALSE(window->isVisible());
}

TEST(MetricsPanel, ExportsLinesAndTextsOnWhiteWhateverTheGround) {
    applyTheme(testApplication(), Look::Dark);
    QTemporaryDir folder;
    Session session;
    MetricsPanel panel(session);
    panel.resize(300, 200);
    const int id = session.start(tinyExperiment(folder), {.untilStep = 6, .folder = folder.path()});
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); })) << session.run(id)->error;
    panel.setMetrics({"loss", "accuracy"});
    ASSERT_TRUE(panel.exportTo(folder.filePath("all.svg"), ChartFormat::Svg));
    EXPECT_EQ(look(), Look::Dark) << "as before";
    const QByteArray svg = read(folder.filePath("all.svg"));
    EXPECT_TRUE(svg.contains("<title>tiny</title>"));
    for (const char* text : {"tiny", "full", "linformer", "Loss (nats)", "Accuracy"})
        EXPECT_TRUE(svg.contains(text)) << text;
    EXPECT_TRUE(svg.contains("<polyline") || svg.contains("<path"));
    EXPECT_FALSE(svg.contains("<image")) << "nothing is made of pixels";
    EXPECT_FALSE(svg.contains("#17191d")) << "the dark ground";
    EXPECT_TRUE(svg.contains("#0072b2")) << "the first lane as it is on white";

    ASSERT_TRUE(panel.exportTo(folder.filePath("loss.pdf"), ChartFormat::Pdf, "loss"));
    const QByteArray pdf = read(folder.filePath("loss.pdf"));
    EXPECT_TRUE(pdf.startsWith("%PDF"));
    EXPECT_FALSE(pdf.contains("/Subtype /Image"));
    EXPECT_EQ(pdf.count("/Type /Page\n"), 1);
    session.shutdown();
}

TEST(MetricsPanel, DrawsALaidOverRunBesideTheShownOne) {
    testApplication();
    QTemporaryDir folder;
    Session session;
    MetricsPanel panel(session);
    panel.resize(500, 600);
    panel.setMetrics({"loss", "accuracy"});
    Session::StartOptions options;
    options.folder = folder.path();
    std::vector<QString> files;
    for (const std::int64_t steps : {4, 9}) {  // of other lengths
        options.untilStep = steps;
        const int id = session.start(tinyExperiment(folder), options);
        ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); })) << session.run(id)->error;
        files.push_back(QString::fromStdString(session.run(id)->file.string()));
        if (steps == 9) session.close(id);
    }
    Chart& loss = panel.frame("loss")->chart();
    const int before = loss.graphCount();
    session.overlays().lay(files[1]);
    ASSERT_TRUE(waitFor([&] { return !session.overlays().all().empty(); }));
    EXPECT_EQ(loss.graphCount(), 2 * before);
    EXPECT_NEAR(loss.xAxis->range().upper, 9, 1e-9) << "the longer run is seen whole";
    bool named = false;
    for (int i = 0; i < loss.graphCount(); ++i) named = named || loss.graph(i)->name().endsWith(" / full");
    EXPECT_TRUE(named);

    ASSERT_TRUE(panel.exportTo(folder.filePath("both.csv"), ChartFormat::Csv));
    QFile file(folder.filePath("both.csv"));
    ASSERT_TRUE(file.open(QIODevice::ReadOnly));
    EXPECT_EQ(QString::fromUtf8(file.readAll()).split("\r\n", Qt::SkipEmptyParts).size(), 1 + 2 * 4 + 2 * 9);

    // A metric that the other run does not have, a step that it did not reach: nothing is made up.
    Q_EMIT loss.hovered(8);
    Q_EMIT loss.hovered(std::numeric_limits<double>::quiet_NaN());
    session.overlays().clear();
    EXPECT_EQ(loss.graphCount(), before);
    EXPECT_NEAR(loss.xAxis->range().upper, 4, 1e-9);
}

TEST(Chart, KeepsAZoomThroughNewData) {
    testApplication();
    Chart chart;
    QCPGraph* graph = chart.addCurve(QPen(Qt::white), "x");
    graph->setData({0, 1, 2}, {0, 1, 2}, true);
    chart.refresh();
    EXPECT_NEAR(chart.xAxis->range().upper, 2, 1e-9);
    Q_EMIT chart.mouseWheel(nullptr);
    chart.xAxis->setRange(0.5, 1);
    graph->addData(10, 10);
    chart.refresh();
    EXPECT_NEAR(chart.xAxis->range().upper, 1, 1e-9);
    chart.resetView();
    EXPECT_NEAR(chart.xAxis->range().upper, 10, 1e-9);
}

TEST(Chart, CountsStepsInWholeNumbers) {
    testApplication();
    Chart chart;
    chart.resize(400, 200);
    QCPGraph* graph = chart.addCurve(QPen(Qt::white), "x");
    for (const double step : {0, 3, 20}) {
        graph->addData(step, 8 - step);
        chart.refresh();
        chart.replot();
        ASSERT_FALSE(chart.xAxis->tickVector().isEmpty());
        for (const double tick : chart.xAxis->tickVector()) EXPECT_EQ(tick, std::round(tick)) << step;
    }
}

class ManyPoints : public testing::TestWithParam<Qt::PenStyle> {};

TEST_P(ManyPoints, AreDrawnFastAndWithTheirExtreme) {
    testApplication();
    Chart chart;
    chart.resize(400, 300);
    LaneCurve curve(chart, QPen(Qt::red, 1.8, GetParam()), "lane");
    Series series;
    for (int i = 0; i < 100'000; ++i) {
        series.steps.push_back(i);
        series.values.push_back(i == 50'123 ? 100.0 : 1.0 + 0.001 * (i % 7));
    }
    curve.update(series);
    chart.refresh();
    QElapsedTimer timer;
    timer.start();
    const QImage picture = chart.toPixmap(400, 300).toImage();
    EXPECT_LT(timer.elapsed(), 300);
    // One step of a hundred thousand stands out at the top all the same.
    bool found = false;
    for (int y = 0; y < 60; ++y)
        for (int x = 60; x < 390; ++x)
            found = found || (picture.pixelColor(x, y).red() > 120 && picture.pixelColor(x, y).green() < 90);
    EXPECT_TRUE(found);
}

INSTANTIATE_TEST_SUITE_P(Curves, ManyPoints, testing::Values(Qt::SolidLine, Qt::DashLine));

}  // namespace
}  // namespace linscope::app
