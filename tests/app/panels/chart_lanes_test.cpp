#include "app/panels/chart_lanes.h"

#include <gtest/gtest.h>

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
    EXPECT_EQ(lanes[2].pen.color().rgb(), laneColor(2).rgb());
    EXPECT_EQ(lanes[3].pen.color().rgb(), lanes[0].pen.color().rgb());
    EXPECT_NE(lanes[3].pen.style(), Qt::SolidLine);
    EXPECT_LT(lanes[3].pen.color().alphaF(), 1);
}

TEST_F(ChartLanesTest, LanesOfOneRunDifferInColourWhereNoneIsFree) {
    m_run.record = record("own", {"a", "b", "c", "d", "e", "f"});
    const std::vector<Overlay> overlays{overlay(1, "/runs/other.h5", record("other", {"x", "a", "y"}))};
    const auto lanes = chartLanes(&m_run, overlays);
    ASSERT_EQ(lanes.size(), 9U);
    EXPECT_EQ(lanes[7].pen.color().rgb(), laneColor(0).rgb());
    EXPECT_EQ(lanes[6].pen.color().rgb(), laneColor(1).rgb());
    EXPECT_EQ(lanes[8].pen.color().rgb(), laneColor(2).rgb());
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

TEST_F(ChartLanesTest, ARunIsNotLaidOverItselfAndNeedsNoneBelow) {
    const std::vector<Overlay> overlays{overlay(1, "/runs/own.h5", m_run.record)};
    EXPECT_EQ(chartLanes(&m_run, overlays).size(), 2U);
    const auto alone = chartLanes(nullptr, overlays);
    ASSERT_EQ(alone.size(), 2U);
    EXPECT_EQ(alone[1].pen.color().rgb(), laneColor(1).rgb());
}

}  // namespace
}  // namespace linscope::app
