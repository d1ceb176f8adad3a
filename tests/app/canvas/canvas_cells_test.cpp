#include "tests/app/canvas/canvas_pictures.h"
#include "tests/viz/vulkan_fixture.h"

namespace linscope::viz {
namespace {

/// What CUDA does where there is a device, done by the processor: every picture is drawn from cells of its own.
MapService::Work cellsWork(Device& device, float factor) {
    const auto drawn = [&device, factor](AttentionMap map) {
        const auto cells = std::make_shared<DeviceMatrix>(device, map.matrix.rows, map.matrix.cols,
                                                          MapRoute{MapPath::Processor, "a test"}, nullptr);
        float* out = cells->beginWriting();
        for (const float value : map.matrix.values) *out++ = factor * value;
        cells->endWriting();
        return ComputedMap(std::move(map), cells->route(), cells);
    };
    MapService::Work work = MapService::realWork();
    work.map = [drawn](const Snapshot& snapshot, const MapRequest& request, const std::stop_token&) {
        return drawn(attentionMap(snapshot, request));
    };
    work.projection = [drawn](const Projection& projection) {
        AttentionMap map;
        map.matrix = {.rows = projection.slots, .cols = projection.length, .values = projection.values};
        return drawn(std::move(map));
    };
    return work;
}

using CanvasCellsTest = VulkanTest;

TEST_F(CanvasCellsTest, PicturesAreDrawnFromTheCells) {
    for (const CanvasPage page : {CanvasPage::Maps, CanvasPage::Projection}) {
        const RgbaImage wanted = canvasPicture(device(), MapService::realWork(), page).image;
        EXPECT_EQ(shareOfOtherPixels(canvasPicture(device(), cellsWork(device(), 1), page).image, wanted), 0);
        EXPECT_GT(shareOfOtherPixels(canvasPicture(device(), cellsWork(device(), 0.5F), page).image, wanted), 0.05);
    }
}

TEST_F(CanvasCellsTest, WithoutCudaTheProcessorComputesAndTheCanvasSaysWhy) {
    if (computingDevice()) GTEST_SKIP() << "there is a CUDA device";
    const auto source = std::make_shared<MapSource>(device());
    for (const CanvasPage page : {CanvasPage::Maps, CanvasPage::Projection}) {
        const CanvasPicture picture = canvasPicture(device(), MapService::realWork(source), page);
        EXPECT_EQ(shareOfOtherPixels(picture.image, canvasPicture(device(), MapService::realWork(), page).image), 0);
        EXPECT_EQ(picture.route, "computed on the processor: there is no CUDA device");
    }
    source->setCuda(false);
    EXPECT_EQ(canvasPicture(device(), MapService::realWork(source), CanvasPage::Maps).route,
              "computed on the processor");
}

TEST(MapSet, TellsEachRouteOnce) {
    MapSet set;
    for (auto& map : set.maps) map = std::make_shared<const AttentionMap>();
    set.routes[1] = {MapPath::Shared, ""};
    EXPECT_EQ(set.routeSentence(),
              "exact, lifted, difference: computed on the processor; compressed: maps reach the screen without a copy");
    set.maps[1].reset();
    EXPECT_EQ(set.routeSentence(), "computed on the processor");
}

}  // namespace
}  // namespace linscope::viz
