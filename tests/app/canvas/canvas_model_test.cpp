#include "viz/canvas/canvas_model.h"

#include <gtest/gtest.h>

#include <atomic>
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

TEST(CanvasModel, PromisesNothingOfARunThatFailed) {
    CanvasModel model([] {});
    model.setLanes({"full"});
    EXPECT_NE(model.absence(MapKind::Exact).find("first snapshot"), std::string::npos);
    model.setFailure("[data] no such corpus");
    EXPECT_EQ(model.absence(MapKind::Exact), "Nothing of \"full\" to show: [data] no such corpus");
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

class CanvasLanes : public testing::Test {
protected:
    CanvasLanes() {
        model.setLanes({"full", "linformer"});
        model.setPage(CanvasPage::Lanes);
    }
    bool showBoth(std::int64_t step = 0) {
        for (test::SyntheticOptions options : {kFull, kLinformer}) {
            options.step = step;
            model.setSnapshot(test::syntheticSnapshot(options));
        }
        for (int wait = 0; wait < 5000 && model.busy(); ++wait)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        model.update();
        return model.own(0) && model.own(1);
    }
    /// Maps of which the theory is at hand: weights of 1/4 at most, a lifted map of −1/2 to 1/2.
    static MapService::Work work() {
        MapService::Work made = MapService::realWork();
        made.map = [](const Snapshot& snapshot, const MapRequest& request, const std::stop_token&) {
            AttentionMap map = mapOutline(snapshot, request);
            const std::int64_t cols = request.kind == MapKind::Compressed ? 4 : 24;
            map.matrix = {
                .rows = 24, .cols = cols, .values = std::vector<float>(static_cast<std::size_t>(24 * cols), 0.25F)};
            if (map.isSigned) map.matrix.values[0] = -(map.matrix.values[1] = 0.5F);
            return map;
        };
        return made;
    }
    CanvasModel model{[] {}, work()};
};

TEST_F(CanvasLanes, ShowWhatEachOfThemDoesForOneHead) {
    ASSERT_TRUE(showBoth());
    EXPECT_EQ(kMapKinds[model.own(0)->ownIndex()], MapKind::Exact);
    EXPECT_EQ(kMapKinds[model.own(1)->ownIndex()], MapKind::Lifted);
    EXPECT_EQ(model.tokenCount(), 24);
    EXPECT_EQ(model.tokenAt(0), "I");
    model.choose({.lane = 1, .layer = 1, .head = 1});
    ASSERT_TRUE(showBoth(5));
    for (const int lane : {0, 1}) {
        EXPECT_EQ(model.own(lane)->choice, (HeadChoice{.lane = lane, .layer = 1, .head = 1}));
        EXPECT_EQ(model.own(lane)->snapshot->step, 5);
        EXPECT_EQ(model.ownAbsence(lane), "");
    }
}

TEST_F(CanvasLanes, HaveOneRangeForWeightsAndAnotherForSignedMapsUnlessItIsAskedForOne) {
    ASSERT_TRUE(showBoth());
    Colouring& colouring = model.colouring();
    EXPECT_FALSE(colouring.joint());
    EXPECT_EQ(colouring.scale(RangeOf::Exact).kind, ScaleKind::Linear);
    EXPECT_EQ(colouring.scale(RangeOf::Lifted).kind, ScaleKind::Diverging);
    colouring.setJoint(true);
    EXPECT_EQ(colouring.scale(RangeOf::Exact).kind, ScaleKind::Diverging);
    EXPECT_FLOAT_EQ(colouring.scale(RangeOf::Exact).hi, colouring.scale(RangeOf::Lifted).hi);
}

TEST_F(CanvasLanes, HaveARangeEachWhereThatIsAskedFor) {
    ASSERT_TRUE(showBoth());
    Colouring& colouring = model.colouring();
    EXPECT_FALSE(colouring.rangeEach()) << "one range is the comparison that the eye makes";
    EXPECT_EQ(colouring.rangeOfLane(0, false), RangeOf::Exact);
    EXPECT_EQ(colouring.rangeOfLane(1, true), RangeOf::Lifted);
    colouring.setRangeEach(true);
    const RangeOf weights = colouring.rangeOfLane(0, false), lifted = colouring.rangeOfLane(1, true);
    EXPECT_NE(weights, lifted);
    EXPECT_EQ(colouring.scale(weights).kind, ScaleKind::Linear);
    EXPECT_LT(colouring.scale(weights).lo, 0.25F);
    EXPECT_GT(colouring.scale(weights).lo, 0) << "around the one value that this map has";
    EXPECT_EQ(colouring.scale(lifted).kind, ScaleKind::Diverging);
    EXPECT_FLOAT_EQ(colouring.scale(lifted).lo, -colouring.scale(lifted).hi);

    colouring.setRange(weights, 0, 0.125F);
    EXPECT_FLOAT_EQ(colouring.scale(weights).hi, 0.125F);
    EXPECT_FLOAT_EQ(colouring.scale(RangeOf::Exact).hi, 0.25F) << "what is set of one lane is that lane's";
    colouring.setKind(ScaleKind::Log);
    EXPECT_TRUE(colouring.isAutomatic(weights));
    EXPECT_EQ(colouring.scale(weights).kind, ScaleKind::Log);
    EXPECT_EQ(colouring.scale(lifted).kind, ScaleKind::Arcsinh);

    colouring.setRange(weights, 0, 0.125F);
    model.setLanes({"another run"});
    EXPECT_TRUE(colouring.isAutomatic(weights)) << "it was of another lane";
    EXPECT_TRUE(colouring.rangeEach());
}

TEST_F(CanvasLanes, TheOtherPageHasItsMapsAndRangesAgain) {
    ASSERT_TRUE(showBoth());
    model.setPage(CanvasPage::Maps);
    ASSERT_TRUE(waitForMaps(model));
    EXPECT_EQ(model.maps()->choice.lane, 1);
    EXPECT_NE(model.maps()->maps[3], nullptr);
    EXPECT_EQ(model.view().slots(), 4);
    model.cursor = {.row = 3, .slot = 2, .pinned = true};
    model.setPage(CanvasPage::Lanes);
    EXPECT_EQ(model.cursor.slot, -1) << "a slot is of one lane";
    EXPECT_EQ(model.cursor.row, 3);
    EXPECT_FALSE(model.busy()) << "what was computed is still there";
}

TEST_F(CanvasLanes, SayWhatALaneLacks) {
    EXPECT_NE(model.ownAbsence(1).find("first snapshot"), std::string::npos);
    ASSERT_TRUE(showBoth());
    model.setLanes({"other"});
    EXPECT_EQ(model.own(0), nullptr);
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

TEST(CanvasModel, PicturesOfProjectionsComeWithoutWaiting) {
    std::atomic<bool> open{true};
    MapService::Work work = MapService::realWork();
    work.projection = [&open](const Projection& projection) {
        while (!open) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        AttentionMap map;
        map.matrix = {.rows = projection.slots, .cols = projection.length, .values = projection.values};
        return map;
    };
    CanvasModel model([] {}, std::move(work));
    model.setLanes({"full", "linformer"});
    model.setPage(CanvasPage::Projection);
    model.setSnapshot(test::syntheticSnapshot(kLinformer));
    const auto shows = [&](std::int64_t step) {
        for (int wait = 0; wait < 5000; ++wait) {
            model.update();
            if (model.projections() && model.projections()->snapshot->step == step) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return false;
    };
    ASSERT_TRUE(shows(model.snapshot()->step));
    ASSERT_FALSE(model.projections()->projections.empty());
    EXPECT_EQ(model.projections()->projections[0].matrix->rows, 4);
    EXPECT_EQ(model.projections()->projections[0].matrix->cols, 24);

    open = false;
    const auto before = model.projections();
    test::SyntheticOptions next = kLinformer;
    next.step = before->snapshot->step + 1;
    const auto begin = std::chrono::steady_clock::now();
    model.setSnapshot(test::syntheticSnapshot(next));
    for (int frame = 0; frame < 20; ++frame) {
        model.update();
        EXPECT_EQ(model.projections(), before) << "the last ones stay until there are others";
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
    open = true;
    EXPECT_TRUE(shows(next.step));
}

}  // namespace
}  // namespace linscope::viz
