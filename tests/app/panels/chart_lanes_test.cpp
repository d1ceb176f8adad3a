#include "app/panels/chart_lanes.h"

#include <gtest/gtest.h>

#include <cmath>

#include "app/shell/theme.h"

namespace linscope::app {
namespace {

RunRecord record(const std::string& title, const std::vector<std::string>& lanes) {
    Experiment experiment;
    experiment.title = title;
    for (const std::string& name : lanes)
        experiment.lanes.push_back({.name = name, .mechanism = "full", .options = {}});
    return RunRecord::fromExperiment(experiment);
}

Overlay overlay(int id, const std::string& file, RunRecord of) {
    return {.id = id, .file = file, .record = std::move(of)};
}

/// Of one hue, to the rounding of its channels.
bool isTintOf(const QColor& color, const QColor& of) {
    return std::abs(color.hsvHueF() - of.hsvHueF()) < 0.02F;
}

class ChartLanesTest : public testing::Test {
protected:
    ChartLanesTest() {
        m_run.file = "/runs/own.h5";
        m_run.record = record("own", {"full", "linformer"});
    }
    app::Run m_run;  // testing::Test has a member of that name
};

TEST_F(ChartLanesTest, LanesOfOneNameHaveOneColourAndOthersAFreeOne) {
    const std::vector<Overlay> overlays{overlay(7, "/runs/other.h5", record("other", {"performer", "full"}))};
    const auto lanes = chartLanes(&m_run, overlays);
    ASSERT_EQ(lanes.size(), 4U);
    EXPECT_EQ(lanes[0].name, "full");
    EXPECT_EQ(lanes[0].pen.style(), Qt::SolidLine);
    EXPECT_EQ(lanes[2].name, "other / performer");
    EXPECT_EQ(lanes[2].overlay, 7);
    EXPECT_TRUE(isTintOf(lanes[2].pen.color(), laneColor(2)));
    EXPECT_TRUE(isTintOf(lanes[3].pen.color(), laneColor(0)));
    EXPECT_NE(lanes[3].pen.color(), laneColor(0)) << "its dashes are seen on the lane's own curve";
    EXPECT_NE(lanes[3].pen.style(), Qt::SolidLine);
}

TEST_F(ChartLanesTest, LanesOfOneRunDifferInColourWhereNoneIsFree) {
    m_run.record = record("own", {"a", "b", "c", "d", "e", "f"});
    const std::vector<Overlay> overlays{overlay(1, "/runs/other.h5", record("other", {"x", "a", "y"}))};
    const auto lanes = chartLanes(&m_run, overlays);
    ASSERT_EQ(lanes.size(), 9U);
    EXPECT_TRUE(isTintOf(lanes[7].pen.color(), laneColor(0)));
    EXPECT_TRUE(isTintOf(lanes[6].pen.color(), laneColor(1)));
    EXPECT_TRUE(isTintOf(lanes[8].pen.color(), laneColor(2)));
}

TEST_F(ChartLanesTest, RunsOfOneTitleAreCalledByTheirFiles) {
    const std::vector<Overlay> overlays{overlay(1, "/runs/own-2.h5", record("own", {"full"})),
                                        overlay(2, "/runs/a.h5", record("twice", {"full"})),
                                        overlay(3, "/runs/b.h5", record("twice", {"full"}))};
    const auto lanes = chartLanes(&m_run, overlays);
    ASSERT_EQ(lanes.size(), 5U);
    EXPECT_EQ(lanes[2].name, "own-2 / full");
    EXPECT_EQ(lanes[3].name, "a / full");
    EXPECT_EQ(lanes[4].name, "b / full");
    EXPECT_NE(lanes[3].pen.dashPattern(), lanes[4].pen.dashPattern());
}

TEST_F(ChartLanesTest, RunsOfOneFileNameAreToldByTheirFolders) {
    const std::vector<Overlay> overlays{overlay(1, "/week/own.h5", m_run.record),
                                        overlay(2, "/month/own.h5", m_run.record)};
    const auto lanes = chartLanes(&m_run, overlays);
    EXPECT_EQ(lanes[2].name, "week/own / full");
    EXPECT_EQ(lanes[4].name, "month/own / full");
    EXPECT_EQ(lanes[4].run, "month/own");
    EXPECT_NE(lanes[2].pen.color(), lanes[4].pen.color());
}

TEST_F(ChartLanesTest, AnotherTaskIsSaidBesideTheNameAndInANote) {
    RunRecord other = record("other", {"full"});
    other.experiment.task.name = "copy";
    const std::vector<Overlay> overlays{overlay(1, "/runs/other.h5", other)};
    EXPECT_EQ(chartLanes(&m_run, overlays)[2].name, "other / full · copy");
    const QStringList notes = overlayNotes(&m_run, overlays);
    ASSERT_EQ(notes.size(), 1);
    EXPECT_TRUE(notes[0].contains("another task: copy")) << notes[0].toStdString();
    EXPECT_TRUE(notes[0].contains("masked_bytes"));
}

TEST_F(ChartLanesTest, OtherOptionsOfTheTaskAndEqualExperimentsAreNotedToo) {
    RunRecord other = record("other", {"full", "linformer"}), third = record("third", {"performer"});
    other.experiment.set("task.length", "64");
    const QStringList notes =
        overlayNotes(&m_run, {overlay(1, "/runs/other.h5", other), overlay(2, "/runs/again.h5", m_run.record),
                              overlay(3, "/runs/third.h5", third)});
    ASSERT_EQ(notes.size(), 2) << "other lanes are what one lays over for";
    EXPECT_TRUE(notes[0].contains("length 64 in place of")) << notes[0].toStdString();
    EXPECT_TRUE(notes[1].contains("same experiment")) << notes[1].toStdString();
}

TEST_F(ChartLanesTest, ARunIsNotLaidOverItselfAndNeedsNoneBelow) {
    const std::vector<Overlay> overlays{overlay(1, "/runs/own.h5", m_run.record)};
    EXPECT_EQ(chartLanes(&m_run, overlays).size(), 2U);
    const auto alone = chartLanes(nullptr, overlays);
    ASSERT_EQ(alone.size(), 2U);
    EXPECT_TRUE(isTintOf(alone[1].pen.color(), laneColor(1)));
}

}  // namespace
}  // namespace linscope::app
