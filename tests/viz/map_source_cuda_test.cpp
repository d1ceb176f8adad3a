#include "core/cuda/device.h"
#include "tests/app/canvas/canvas_pictures.h"
#include "tests/support/mechanism_snapshots.h"
#include "tests/viz/interop_pictures.h"
#include "viz/offscreen/render.h"
#include "viz/offscreen/typesetter.h"
#include "viz/views/view.h"

namespace linscope::viz {
namespace {

/// The whole way: a snapshot, maps that CUDA computes, and the pixels, beside those of the processor's maps.
class MapSourceCudaTest : public VulkanTest {
protected:
    void SetUp() override {
        if (!cudaAvailable()) GTEST_SKIP() << "needs a CUDA device";
        VulkanTest::SetUp();
    }
    MapRoute ownRoute() { return chooseRoute(device().uuid(), device().deviceExtensions(), computingDevice()); }

    RgbaImage pixelsOf(const ViewPicture& picture) {
        OffscreenPane pane = wholePane(picture.matrix->rows, picture.matrix->cols);
        pane.matrix = picture.matrix;
        pane.cells = picture.cells;
        pane.pooling = picture.pooling;
        pane.style = pictureStyle(0.5F);
        return drawHeatmaps(device(), kWidth, kHeight, {pane});
    }
    static bool hasFont() {
        try {
            const Typesetter typesetter;
            return true;
        } catch (const Error&) {
            return false;
        }
    }

    void comparesCanvas(const MapRoute& route) {
        const auto source = std::make_shared<MapSource>(device());
        source->setRoute(route);
        for (const CanvasPage page : {CanvasPage::Maps, CanvasPage::Projection}) {
            const CanvasPicture picture = canvasPicture(device(), MapService::realWork(source), page);
            const RgbaImage wanted = canvasPicture(device(), MapService::realWork(), page).image;
            EXPECT_EQ(picture.route, route.sentence());
            // A rounding may turn the last digit beside a colour bar; another head is another picture.
            EXPECT_LT(shareOfOtherPixels(picture.image, wanted), 0.001);
        }
        const auto head = [&](int index) {
            return canvasPicture(device(), MapService::realWork(source), CanvasPage::Maps, index).image;
        };
        EXPECT_GT(shareOfOtherPixels(head(1), head(0)), 0.02);
    }
};

TEST_F(MapSourceCudaTest, TheCanvasShowsTheProcessorsPictureWithoutACopy) {
    if (ownRoute().path != MapPath::Shared) GTEST_SKIP() << device().name() << ": " << ownRoute().sentence();
    comparesCanvas(ownRoute());
}

TEST_F(MapSourceCudaTest, TheCanvasShowsTheProcessorsPictureByOneStagedCopy) {
    comparesCanvas({MapPath::Staged, "asked for"});
}

TEST_F(MapSourceCudaTest, EveryViewIsTheProcessorsFigure) {
    const auto snapshot = test::syntheticSnapshot({.length = 64, .slots = 16, .heads = 2, .headWidth = 32});
    MapSource source(device());
    for (const ViewInfo& view : views()) {
        const ViewPicture here = view.make(*snapshot, {.layer = 1, .head = 1, .sample = 1});
        const ViewPicture other = view.make(*snapshot, {.layer = 0, .head = 0, .sample = 0});
        const ViewPicture there = view.make(*snapshot, {.layer = 1, .head = 1, .sample = 1, .source = &source});
        EXPECT_EQ(there.rowAxis, here.rowAxis);
        EXPECT_EQ(there.colAxis, here.colAxis);
        EXPECT_EQ(there.pooled, here.pooled);
        EXPECT_EQ(there.cells != nullptr, view.name != "projection" || ownRoute().path == MapPath::Shared) << view.name;
        ASSERT_EQ(there.matrix->values.size(), here.matrix->values.size()) << view.name;
        for (std::size_t i = 0; i < here.matrix->values.size(); ++i)
            ASSERT_NEAR(there.matrix->values[i], here.matrix->values[i], 1e-5F) << view.name << ", cell " << i;
        EXPECT_LE(greatestDifference(pixelsOf(there), pixelsOf(here)), 1) << view.name;
        EXPECT_GT(greatestDifference(pixelsOf(there), pixelsOf(other)), 1) << view.name;
        if (hasFont()) {
            EXPECT_LT(shareOfOtherPixels(renderFigure(device(), there, {}), renderFigure(device(), here, {})), 0.001)
                << view.name;
        }
    }
}

// Any mechanism's maps, whole and pooled, come from the device, and are described as the processor describes them.
TEST_F(MapSourceCudaTest, MapsOfEveryMechanismAreComputedThere) {
    MapSource source(device());
    for (const char* name : {"full", "performer", "linear", "reformer"}) {
        const MechanismInfo& info = findMechanism(name);
        const AttentionSizes sizes{.layers = 2, .heads = 2, .headWidth = 32, .length = 64, .causal = true};
        const Snapshot snapshot = test::disturbedSnapshot(info, info.variants(sizes).front(), sizes);
        for (const MapKind kind : {MapKind::Exact, MapKind::Lifted, MapKind::Difference})
            for (const std::int64_t side : {64, 15}) {
                if (!hasMap(snapshot, kind)) continue;
                const MapRequest request{.kind = kind, .layer = 1, .head = 1, .sample = 1, .maxSide = side};
                const AttentionMap here = attentionMap(snapshot, request);
                const ComputedMap there = source.map(snapshot, request);
                EXPECT_EQ(there.route.sentence(), ownRoute().sentence());
                ASSERT_NE(there.cells, nullptr) << name;
                EXPECT_EQ(there.cells->rows(), here.matrix.rows);
                EXPECT_EQ(there.cells->cols(), here.matrix.cols);
                EXPECT_EQ(there.map.rowBlock, here.rowBlock);
                EXPECT_EQ(there.map.colBlock, here.colBlock);
                EXPECT_EQ(there.map.pooling, here.pooling);
                ASSERT_EQ(there.map.matrix.values.size(), here.matrix.values.size());
                // Of two values that are as far from 0, rounding decides which a pooled difference shows.
                const auto shown = [&](const AttentionMap& map, std::size_t i) {
                    return map.pooling == "abs-max" ? std::abs(map.matrix.values[i]) : map.matrix.values[i];
                };
                for (std::size_t i = 0; i < here.matrix.values.size(); ++i)
                    ASSERT_NEAR(shown(there.map, i), shown(here, i), 1e-5F)
                        << name << ", " << mapName(kind) << ", cell " << i;
            }
    }
}

TEST_F(MapSourceCudaTest, APooledMapIsTheProcessorsPicture) {
    const auto snapshot = test::syntheticSnapshot({.length = 200, .slots = 0, .heads = 2, .headWidth = 32});
    MapSource source(device());
    const ViewInfo& exact = findView("exact");
    const ViewPicture here = exact.make(*snapshot, {.layer = 1, .head = 1, .sample = 1, .maxSide = 64});
    const ViewPicture there =
        exact.make(*snapshot, {.layer = 1, .head = 1, .sample = 1, .maxSide = 64, .source = &source});
    ASSERT_NE(there.cells, nullptr);
    EXPECT_EQ(there.pooled, "max");
    EXPECT_EQ(there.matrix->rows, 50);
    EXPECT_LE(greatestDifference(pixelsOf(there), pixelsOf(here)), 1);
}

// What has no form on the device is computed by the processor, and says so.
TEST_F(MapSourceCudaTest, OtherMapsFallBackWithTheReason) {
    Snapshot snapshot = *test::syntheticSnapshot({.length = 64, .slots = 0, .heads = 2, .headWidth = 136});
    snapshot.mechanism = "window";
    MapSource source(device());
    EXPECT_EQ(source.map(snapshot, {.kind = MapKind::Exact}).route.path, ownRoute().path);
    const ComputedMap wide = source.map(snapshot, {.kind = MapKind::Lifted});
    EXPECT_EQ(wide.route.sentence(),
              "computed on the processor: \"window\" has no form on the device with these options: head widths up to "
              "128 have one");
    EXPECT_EQ(wide.cells, nullptr);
    EXPECT_EQ(wide.map.matrix.rows, 64);
    source.setCuda(false);
    EXPECT_EQ(source.map(snapshot, {.kind = MapKind::Exact}).route.sentence(), "computed on the processor");
}

// A picture may be shown when its source is gone, and cells that somebody holds are not written again.
TEST_F(MapSourceCudaTest, PicturesKeepTheirCells) {
    const auto snapshot = test::syntheticSnapshot({.length = 64, .slots = 16, .heads = 2, .headWidth = 32});
    auto source = std::make_unique<MapSource>(device());
    const auto cells = [&](int head) { return source->map(*snapshot, {.kind = MapKind::Exact, .head = head}).cells; };
    auto first = cells(0);
    const auto second = cells(1);
    ASSERT_NE(first, nullptr);
    EXPECT_NE(first, second);
    const DeviceMatrix* const freed = first.get();
    first.reset();
    EXPECT_EQ(cells(0).get(), freed);
    source.reset();
    const OffscreenPane pane = [&] {
        OffscreenPane one = wholePane(64, 64);
        one.cells = second;
        one.style = pictureStyle(0.5F);
        return one;
    }();
    const auto wanted =
        std::make_shared<const Matrix>(attentionMap(*snapshot, {.kind = MapKind::Exact, .head = 1}).matrix);
    EXPECT_LE(greatestDifference(drawHeatmaps(device(), kWidth, kHeight, {pane}),
                                 pictureOf(device(), wanted, Pooling::Max, 0.5F)),
              1);
}

}  // namespace
}  // namespace linscope::viz
