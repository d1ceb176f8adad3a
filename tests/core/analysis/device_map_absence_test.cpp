#include "core/analysis/device_maps.h"

#include <gmock/gmock.h>

#include "core/analysis/implied_map.h"
#include "tests/support/mechanism_snapshots.h"

namespace linscope {
namespace {

constexpr MapKind kKinds[] = {MapKind::Exact, MapKind::Compressed, MapKind::Lifted, MapKind::Difference};
constexpr AttentionSizes kSizes{.layers = 2, .heads = 2, .headWidth = 8, .length = 43};

Snapshot snapshotWith(const char* mechanism, const OptionValues& options, const AttentionSizes& sizes = kSizes) {
    return test::disturbedSnapshot(findMechanism(mechanism), options, sizes);
}

class DeviceMapOutlines : public testing::TestWithParam<const MechanismInfo*> {};

// Whatever the processor can compute the device can, and from the outside the two cannot be told apart.
TEST_P(DeviceMapOutlines, AreOfEveryMapThatThereIs) {
    const MechanismInfo& info = *GetParam();
    for (const AttentionSizes& sizes : test::formsOf(info, kSizes))
        for (const OptionValues& options : test::choicesOf(info, sizes)) {
            const Snapshot s = test::disturbedSnapshot(info, options, sizes);
            for (const MapKind kind : kKinds)
                for (const std::int64_t side : {4096, 43, 42, 5, 1}) {
                    const MapRequest request{.kind = kind, .layer = 1, .head = 1, .sample = 1, .maxSide = side};
                    ASSERT_EQ(deviceMapAbsence(s, request).empty(), hasMap(s, kind)) << test::textOf(s);
                    if (!hasMap(s, kind)) continue;
                    const AttentionMap outline = deviceMapOutline(s, request), map = attentionMap(s, request);
                    ASSERT_EQ(outline.matrix.rows, map.matrix.rows);
                    ASSERT_EQ(outline.matrix.cols, map.matrix.cols);
                    ASSERT_EQ(outline.rowBlock, map.rowBlock);
                    ASSERT_EQ(outline.colBlock, map.colBlock);
                    ASSERT_EQ(outline.pooling, map.pooling);
                    ASSERT_EQ(outline.isSigned, map.isSigned);
                    ASSERT_EQ(outline.rowAxis, map.rowAxis);
                    ASSERT_EQ(outline.colAxis, map.colAxis);
                }
        }
}

INSTANTIATE_TEST_SUITE_P(Registered, DeviceMapOutlines, testing::ValuesIn(test::allMechanisms()),
                         [](const auto& entry) { return std::string(entry.param->name); });

TEST(DeviceMapAbsence, NamesTheMapThatAMechanismLacks) {
    const Snapshot full = snapshotWith("full", {});
    EXPECT_EQ(deviceMapAbsence(full, {.kind = MapKind::Lifted}), "\"full\" has no lifted map");
    EXPECT_EQ(deviceMapAbsence(full, {.kind = MapKind::Compressed}), "\"full\" has no compressed map");
    const Snapshot normalised = snapshotWith("linear", {{"normalise", false}});
    EXPECT_THAT(deviceMapAbsence(normalised, {.kind = MapKind::Difference}),
                testing::StartsWith("\"linear\" has no token map: without normalise each output"));
    EXPECT_EQ(deviceMapAbsence(normalised, {.kind = MapKind::Exact}), "");
}

TEST(DeviceMapAbsence, NamesWhatForwardHasNoFormFor) {
    AttentionSizes wide = kSizes;
    wide.headWidth = 136;
    const Snapshot window = snapshotWith("window", {}, wide);
    EXPECT_EQ(deviceMapAbsence(window, {.kind = MapKind::Lifted}),
              "\"window\" has no form on the device with these options: head widths up to 128 have one");
    EXPECT_EQ(deviceMapAbsence(window, {.kind = MapKind::Exact}), "");
    // Linformer's maps are products of matrices, of any width.
    const Snapshot linformer = snapshotWith("linformer", {{"k", std::vector<std::int64_t>{4}}}, wide);
    for (const MapKind kind : kKinds) EXPECT_EQ(deviceMapAbsence(linformer, {.kind = kind}), "");
}

TEST(DeviceMapAbsence, NamesTheLengthThatIsTooMuch) {
    Snapshot s = snapshotWith("window", {});
    s.length = kLongestImplied + 1;
    EXPECT_EQ(deviceMapAbsence(s, {.kind = MapKind::Lifted}),
              "more than 8192 tokens are too many for the map that \"window\" implies");
    EXPECT_EQ(deviceMapAbsence(s, {.kind = MapKind::Exact}), "");
}

TEST(DeviceMapAbsence, NamesProjectionsThatAreMissing) {
    const Snapshot whole = snapshotWith("linformer", {{"k", std::vector<std::int64_t>{4}}});
    Snapshot s = whole;
    s.projections.clear();
    for (const MapKind kind : {MapKind::Compressed, MapKind::Lifted, MapKind::Difference})
        EXPECT_EQ(deviceMapAbsence(s, {.kind = kind}), "\"linformer\" has no projections of 43 tokens here");
    s = whole;
    s.length = 50;
    for (const MapKind kind : {MapKind::Compressed, MapKind::Lifted, MapKind::Difference})
        EXPECT_EQ(deviceMapAbsence(s, {.kind = kind}), "\"linformer\" has no projections of 50 tokens here");
}

}  // namespace
}  // namespace linscope
