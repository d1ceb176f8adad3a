#include <gtest/gtest.h>

#include "core/analysis/map_tile.h"
#include "core/analysis/maps.h"
#include "core/cuda/context.h"
#include "core/cuda/device.h"
#include "tests/viz/interop_pictures.h"

namespace linscope::viz {
namespace {

/// Q, K of one head and what the processor makes of them.
struct Head {
    Snapshot snapshot;
    std::shared_ptr<const Matrix> map;
};

Head headOf(int seed, bool causal) {
    constexpr std::int64_t D = 32;
    std::mt19937 random{static_cast<unsigned>(seed)};
    std::normal_distribution<float> normal;
    const auto values = [&] {
        std::vector<float> all(std::size_t(kCols * D));
        for (float& value : all) value = 2 * normal(random);
        return all;
    };
    Head head;
    Snapshot& snapshot = head.snapshot;
    snapshot.mechanism = "full";
    snapshot.causal = causal;
    snapshot.samples = snapshot.heads = 1;
    snapshot.length = kCols;
    snapshot.headWidth = D;
    snapshot.layers.resize(1);
    snapshot.layers[0].q = values();
    snapshot.layers[0].k = values();
    snapshot.layers[0].v = values();
    head.map = std::make_shared<const Matrix>(attentionMap(snapshot, {.kind = MapKind::Exact}).matrix);
    return head;
}

class InteropCudaTest : public VulkanTest {
protected:
    void SetUp() override {
        if (!cudaAvailable()) GTEST_SKIP() << "needs a CUDA device";
        VulkanTest::SetUp();
    }

    // Maps of several heads, one after another into one buffer; every second picture is drawn twice.
    void comparesPictures(const MapRoute& route) {
        DeviceContext context;
        DeviceMatrix cells(device(), kCols, kCols, route, &context);
        CellsPicture picture(device(), cells, Pooling::Max);
        for (int round = 0; round < 6; ++round) {
            const Head head = headOf(round, round % 2 == 1);
            const LayerSnapshot& layer = head.snapshot.layers[0];
            const std::size_t bytes = layer.q.size() * sizeof(float);
            auto* q = static_cast<float*>(context.allocate(bytes));
            auto* k = static_cast<float*>(context.allocate(bytes));
            context.toDevice(q, layer.q.data(), bytes);
            context.toDevice(k, layer.k.data(), bytes);
            float* out = cells.beginWriting();
            cuda::mapTile(context,
                          {.q = q,
                           .keys = k,
                           .rows = kCols,
                           .count = kCols,
                           .headWidth = head.snapshot.headWidth,
                           .causal = head.snapshot.causal},
                          out);
            cells.endWriting();
            for (int frame = 0; frame <= round % 2; ++frame)
                EXPECT_LE(greatestDifference(picture.draw(0.5F), pictureOf(device(), head.map, Pooling::Max, 0.5F)), 1)
                    << "round " << round;
            std::vector<float> back(head.map->values.size());
            context.toHost(back.data(), out, back.size() * sizeof(float));
            context.wait();
            for (std::size_t i = 0; i < back.size(); ++i) ASSERT_NEAR(back[i], head.map->values[i], 1e-5F) << i;
            context.release(q);
            context.release(k);
        }
    }
};

TEST_F(InteropCudaTest, MapsReachThePictureWithoutACopy) {
    const MapRoute route = chooseRoute(device().uuid(), device().deviceExtensions(), computingDevice());
    if (route.path != MapPath::Shared) GTEST_SKIP() << device().name() << ": " << route.sentence();
    comparesPictures(route);
}

TEST_F(InteropCudaTest, MapsReachThePictureByOneStagedCopy) {
    comparesPictures({MapPath::Staged, "asked for"});
}

// E and F of a lane lie on the device as the picture wants them: a copy within the device is all it takes.
TEST_F(InteropCudaTest, AProjectionIsDrawnFromTheDevice) {
    const MapRoute route = chooseRoute(device().uuid(), device().deviceExtensions(), computingDevice());
    DeviceContext context;
    const auto projection = randomMatrix(1);
    const std::size_t bytes = projection->values.size() * sizeof(float);
    void* parameter = context.allocate(bytes);
    context.toDevice(parameter, projection->values.data(), bytes);
    {
        DeviceMatrix cells(device(), kRows, kCols, route, &context);
        CellsPicture picture(device(), cells, Pooling::AbsMax);
        context.copy(cells.beginWriting(), parameter, bytes);
        cells.endWriting();
        EXPECT_LE(greatestDifference(picture.draw(), pictureOf(device(), projection, Pooling::AbsMax)), 1);
    }
    context.release(parameter);
}

}  // namespace
}  // namespace linscope::viz
