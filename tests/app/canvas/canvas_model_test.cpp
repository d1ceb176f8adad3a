#include "viz/canvas/canvas_model.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/app/canvas/synthetic_snapshot.h"

namespace linscope::viz {
namespace {

const test::SyntheticOptions kFull{.length = 24, .slots = 0, .heads = 2, .headWidth = 8, .lane = 0};
const test::SyntheticOptions kLinformer{.length = 24, .slots = 4, .heads = 2, .headWidth = 8, .lane = 1};

bool waitForMaps(CanvasModel& model) {
    for (int wait = 0; wait < 5000; ++wait) {
        if (model.update() && !model.busy()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (!model.busy() && model.maps() && !model.update()) return true;
    }
    return false;
}

TEST(CanvasModel, ShowsTheLaneThatHasSomethingToCompareUntilAPersonChooses) {
    CanvasModel model([] {});
    model.setLanes({"full", "linformer"});
    int told = -1;
    model.onChoice = [&](const HeadChoice& choice) { told = choice.lane; };
    model.setSnapshot(test::syntheticSnapshot(kFull));
    EXPECT_EQ(model.choice().lane, 0);
    model.setSnapshot(test::syntheticSnapshot(kLinformer));
    EXPECT_EQ(model.choice().lane, 1);
    EXPECT_EQ(told, 1);
    model.choose({.lane = 0});
    model.setSnapshot(test::syntheticSnapshot(kLinformer));
    EXPECT_EQ(model.choice().lane, 0);
}

TEST(CanvasModel, SaysInWordsWhatFullAttentionLacks) {
    CanvasModel model([] {});
    model.setLanes({"full"});
    EXPECT_NE(model.absence(MapKind::Exact), "");
    model.setSnapshot(test::syntheticSnapshot(kFull));
    EXPECT_EQ(model.absence(MapKind::Exact), "");
    EXPECT_NE(model.absence(MapKind::Compressed).find("no compressed map"), std::string::npos);
    EXPECT_NE(model.absence(MapKind::Lifted), "");
    EXPECT_NE(model.absence(MapKind::Difference), "");
}

TEST(CanvasModel, AChoiceStaysInsideWhatTheLaneHas) {
    CanvasModel model([] {});
    model.setLanes({"full", "linformer"});
    model.choose({.lane = 7, .layer = 9, .head = 9, .sample = 9});
    model.setSnapshot(test::syntheticSnapshot(kLinformer));
    EXPECT_EQ(model.choice(), (HeadChoice{.lane = 1, .layer = 1, .head = 1, .sample = 1}));
}

TEST(CanvasModel, TakesMapsAndKeepsTheOldOnesMeanwhile) {
    CanvasModel model([] {});
    model.setLanes({"full", "linformer"});
    model.setSnapshot(test::syntheticSnapshot(kLinformer));
    ASSERT_TRUE(waitForMaps(model));
    EXPECT_EQ(model.view().tokens(), 24);
    EXPECT_EQ(model.view().slots(), 4);
    EXPECT_EQ(model.tokenAt(0), "I");
    EXPECT_EQ(model.tokenAt(2), "␣");
    EXPECT_EQ(model.tokenAt(24), "");
    const auto before = model.maps();
    model.choose({.lane = 1, .layer = 0, .head = 1});
    EXPECT_EQ(model.maps(), before);
    ASSERT_TRUE(waitForMaps(model));
    EXPECT_EQ(model.maps()->choice.head, 1);
}

TEST(CanvasModel, NewLanesForgetOldPictures) {
    CanvasModel model([] {});
    model.setLanes({"full", "linformer"});
    model.setSnapshot(test::syntheticSnapshot(kLinformer));
    ASSERT_TRUE(waitForMaps(model));
    model.setLanes({"other"});
    EXPECT_EQ(model.maps(), nullptr);
    EXPECT_EQ(model.snapshot(), nullptr);
}

}  // namespace
}  // namespace linscope::viz
