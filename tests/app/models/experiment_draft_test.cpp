#include "app/models/experiment_draft.h"

#include <gtest/gtest.h>

#include "tests/app/app_test.h"

namespace linscope::app {
namespace {

class ExperimentDraftTest : public testing::Test {
protected:
    ExperimentDraftTest() { m_draft.load(tinyExperiment(m_folder)); }
    QTemporaryDir m_folder;
    ExperimentDraft m_draft;
};

TEST_F(ExperimentDraftTest, KeepsARefusedTextOutOfTheExperiment) {
    m_draft.set("model.width", "wide");
    EXPECT_FALSE(m_draft.isValid());
    EXPECT_TRUE(m_draft.errors().contains("model.width"));
    EXPECT_EQ(m_draft.experiment().model.width, 16);
    m_draft.set("model.width", "32");
    EXPECT_TRUE(m_draft.isValid());
    EXPECT_EQ(m_draft.experiment().model.width, 32);
}

TEST_F(ExperimentDraftTest, NamesTheFieldWhenOptionsDisagree) {
    m_draft.set("model.heads", "3");
    EXPECT_TRUE(m_draft.errors().contains("model.heads"));
    m_draft.set("model.heads", "4");
    EXPECT_TRUE(m_draft.isValid());
    m_draft.set("lane.1.attention.k", "64");
    EXPECT_FALSE(m_draft.isValid()) << "k > length";
    m_draft.set("lane.1.attention.k", "8");
    EXPECT_TRUE(m_draft.isValid());
}

TEST_F(ExperimentDraftTest, AddsAndRemovesLanes) {
    m_draft.addLane();
    ASSERT_EQ(m_draft.experiment().lanes.size(), 3U);
    EXPECT_TRUE(m_draft.isValid());
    EXPECT_NE(m_draft.experiment().lanes[2].name, m_draft.experiment().lanes[1].name);
    for (int i = 0; i < 9; ++i) m_draft.addLane();
    EXPECT_EQ(m_draft.experiment().lanes.size(), 6U);
    for (int i = 0; i < 9; ++i) m_draft.removeLane(0);
    EXPECT_EQ(m_draft.experiment().lanes.size(), 1U);
}

TEST_F(ExperimentDraftTest, ANameThatSaysTheOptionsFollowsThem) {
    Experiment experiment = tinyExperiment(m_folder);
    experiment.lanes[1].name = "linformer k=8";
    m_draft.load(experiment);
    std::string told;
    QObject::connect(&m_draft, &ExperimentDraft::valueChanged, &m_draft,
                     [&](const std::string& key, const std::string& text) { told = key + " " + text; });
    const auto name = [&](std::size_t lane) { return m_draft.experiment().lanes[lane].name; };
    m_draft.set("lane.1.attention.k", "16");
    EXPECT_EQ(name(1), "linformer k=16");
    EXPECT_EQ(told, "lane.1.name linformer k=16");
    m_draft.addLane();
    EXPECT_EQ(name(2), "linformer k=16 2");
    m_draft.set("lane.2.attention.k", "4");
    EXPECT_EQ(name(2), "linformer k=4");
    m_draft.set("lane.2.attention.k", "16");
    EXPECT_EQ(name(2), "linformer k=16 2") << "no two lanes have one name";
    m_draft.set("lane.2.attention.mechanism", "gated_delta");
    EXPECT_EQ(name(2), "gated_delta");
    m_draft.set("lane.0.attention.mechanism", "window");
    EXPECT_EQ(name(0), "window");
}

TEST_F(ExperimentDraftTest, ANameThatAPersonChoseStays) {
    const auto name = [&](std::size_t lane) { return m_draft.experiment().lanes[lane].name; };
    m_draft.set("lane.1.name", "linformer k=8");
    m_draft.set("lane.1.attention.k", "4");
    EXPECT_EQ(name(1), "linformer k=8") << "typed";
    Experiment experiment = tinyExperiment(m_folder);
    for (const char* chosen : {"mine", "linformer coarse", "linformer k=9", "linformer k=8 slow", "linformers"}) {
        experiment.lanes[1].name = chosen;
        m_draft.load(experiment);
        m_draft.set("lane.1.attention.k", "4");
        EXPECT_EQ(name(1), chosen) << "says something else than the options did";
    }
    experiment.lanes[0].name = "window 16";
    experiment.set("lane.0.attention.mechanism", "window");
    experiment.set("lane.0.attention.window", "16");
    m_draft.load(experiment);
    m_draft.set("lane.0.attention.window", "8");
    EXPECT_EQ(name(0), "window 8");
    m_draft.set("lane.1.name", "x");
    m_draft.removeLane(0);
    m_draft.set("lane.0.attention.k", "2");
    EXPECT_EQ(name(0), "x");
}

TEST_F(ExperimentDraftTest, SavesWhatItLoads) {
    const QString path = m_folder.filePath("saved.toml");
    m_draft.set("optimizer.learning_rate", "2e-3");
    m_draft.saveFile(path);
    ExperimentDraft other;
    other.loadFile(path);
    EXPECT_EQ(other.experiment().toToml(), m_draft.experiment().toToml());
    m_draft.set("steps", "-1");
    EXPECT_THROW(m_draft.saveFile(path), std::exception);
}

}  // namespace
}  // namespace linscope::app
