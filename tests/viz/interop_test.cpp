#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "tests/viz/interop_pictures.h"

namespace linscope::viz {
namespace {

const std::vector<std::string> kAll{VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME,
                                    VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME,
                                    VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME};

TEST(MapRoute, IsSharedOnOneDeviceWithAllExtensions) {
    const MapRoute route = chooseRoute({1, 2}, kAll, DeviceUuid{1, 2});
    EXPECT_EQ(route.path, MapPath::Shared);
    EXPECT_EQ(route.sentence(), "maps reach the screen without a copy");
}

TEST(MapRoute, IsStagedWhereTheDevicesDiffer) {
    DeviceUuid other{1, 2};
    other.back() = 1;
    const MapRoute route = chooseRoute({1, 2}, kAll, other);
    EXPECT_EQ(route.path, MapPath::Staged);
    EXPECT_EQ(route.sentence(), "one staged copy: the devices differ");
}

TEST(MapRoute, IsStagedWhereAnyExtensionIsMissingAndNamesIt) {
    for (const std::string& missing : kAll) {
        std::vector<std::string> rest = kAll;
        std::erase(rest, missing);
        const MapRoute route = chooseRoute({1}, rest, DeviceUuid{1});
        EXPECT_EQ(route.path, MapPath::Staged);
        EXPECT_EQ(route.sentence(), "one staged copy: the driver has no " + missing);
    }
}

TEST(MapRoute, IsTheProcessorsWithoutCuda) {
    const MapRoute route = chooseRoute({}, kAll, std::nullopt);
    EXPECT_EQ(route.path, MapPath::Processor);
    EXPECT_EQ(route.sentence(), "computed on the processor: there is no CUDA device");
}

using InteropTest = VulkanTest;

TEST_F(InteropTest, CellsDrawnFromABufferAreThePictureOfTheMatrix) {
    for (const Pooling pooling : {Pooling::Max, Pooling::Mean, Pooling::AbsMax}) {
        DeviceMatrix cells(device(), kRows, kCols, {MapPath::Processor, ""}, nullptr);
        CellsPicture picture(device(), cells, pooling);
        for (const int seed : {1, 2}) {
            const auto matrix = randomMatrix(seed);
            std::copy(matrix->values.begin(), matrix->values.end(), cells.beginWriting());
            cells.endWriting();
            EXPECT_LE(greatestDifference(picture.draw(), pictureOf(device(), matrix, pooling)), 1) << seed;
        }
        // Both kinds of source in turn, in one pane.
        picture.pane().setMatrix(randomMatrix(3), pooling);
        EXPECT_LE(greatestDifference(picture.draw(), pictureOf(device(), randomMatrix(3), pooling)), 1);
        picture.pane().setCells(cells.cells(), kRows, kCols, pooling);
        EXPECT_LE(greatestDifference(picture.draw(), pictureOf(device(), randomMatrix(2), pooling)), 1);
    }
}

TEST_F(InteropTest, PicturesOfOtherNumbersDiffer) {
    EXPECT_GT(greatestDifference(pictureOf(device(), randomMatrix(1), Pooling::Max),
                                 pictureOf(device(), randomMatrix(2), Pooling::Max)),
              1);
}

TEST_F(InteropTest, ExportsMemoryAsADescriptorOfItsOwn) {
    if (!device().hasDeviceExtension(VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME))
        GTEST_SKIP() << device().name() << " has no " << VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME;
    const Buffer buffer(device(), 1 << 16, VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT, MemoryKind::Exported);
    const int first = buffer.exportMemory(device()), second = buffer.exportMemory(device());
    EXPECT_NE(first, second);
    for (const int descriptor : {first, second}) {
        EXPECT_NE(fcntl(descriptor, F_GETFD), -1);
        EXPECT_EQ(close(descriptor), 0);
    }
    EXPECT_GE(buffer.allocatedBytes(), buffer.bytes());
}

TEST_F(InteropTest, ATimelineCountsWhatTheQueueHasDone) {
    if (!device().hasDeviceExtension(VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME))
        GTEST_SKIP() << device().name() << " has no " << VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME;
    Timeline timeline(device(), false);
    EXPECT_EQ(timeline.value(), 0u);
    timeline.signal(3);
    timeline.await(3);
    timeline.signal(5);
    device().waitIdle();
    EXPECT_EQ(timeline.value(), 5u);
}

TEST_F(InteropTest, RefusesWhatCannotBe) {
    EXPECT_THROW(DeviceMatrix(device(), 4, 4, {MapPath::Shared, ""}, nullptr), Error);
    EXPECT_THROW(DeviceMatrix(device(), 0, 4, {MapPath::Processor, ""}, nullptr), Error);
    const DeviceMatrix cells(device(), 4, 4, {MapPath::Processor, ""}, nullptr);
    CellsPicture picture(device(), cells, Pooling::Max);
    EXPECT_THROW(picture.pane().setCells(cells.cells(), 4, 5, Pooling::Max), Error);
    EXPECT_THROW(picture.pane().matrix(), Error);
}

}  // namespace
}  // namespace linscope::viz
