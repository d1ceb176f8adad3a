#include "core/analysis/device_maps.h"

#include <gtest/gtest.h>

#include <random>

#include "core/cuda/context.h"
#include "core/tensor/arena.h"
#include "tests/core/cuda/cuda_test.h"

namespace linscope {
namespace {

// E and F are longer than the sequence, as those of a model that reads a shorter one.
Snapshot snapshotOf(const std::string& mechanism, std::int64_t length, std::int64_t slots) {
    std::mt19937 random{5};
    std::normal_distribution<float> normal;
    const auto values = [&](std::int64_t count) {
        std::vector<float> all(static_cast<std::size_t>(count));
        for (float& value : all) value = normal(random);
        return all;
    };
    Snapshot snapshot;
    snapshot.mechanism = mechanism;
    snapshot.samples = snapshot.heads = 2;
    snapshot.length = length;
    snapshot.headWidth = 60;
    const std::int64_t size = 2 * 2 * length * snapshot.headWidth;
    snapshot.layers.push_back({values(size), values(size), values(size)});
    if (slots == 0) return snapshot;
    for (const char* name : {"E", "F"})
        snapshot.projections.push_back({name, -1, -1, slots, length + 7, values(slots * (length + 7))});
    for (Projection& projection : snapshot.projections)
        for (float& value : projection.values) value *= 0.1F;
    return snapshot;
}

void compare(const Snapshot& snapshot, MapKind kind) {
    const MapRequest request{.kind = kind, .head = 1, .sample = 1};
    ASSERT_EQ(deviceMapAbsence(snapshot, request), "");
    const Matrix wanted = attentionMap(snapshot, request).matrix;
    DeviceContext context;
    Arena arena(&context, true);
    const std::size_t bytes = wanted.values.size() * sizeof(float);
    auto* map = static_cast<float*>(context.allocate(bytes));
    context.fill(map, 0xff, bytes);  // NaN
    cuda::attentionMap(arena, snapshot, request, map);
    std::vector<float> values(wanted.values.size());
    context.toHost(values.data(), map, bytes);
    context.wait();
    context.release(map);
    for (std::size_t i = 0; i < values.size(); ++i)
        ASSERT_NEAR(values[i], wanted.values[i], 1e-5) << mapName(kind) << ", cell " << i;
}

using DeviceMapsTest = test::CudaTest;

TEST_F(DeviceMapsTest, AreTheProcessorsMaps) {
    for (const std::int64_t length : {63, 500}) {
        Snapshot full = snapshotOf("full", length, 0);
        compare(full, MapKind::Exact);
        full.causal = true;
        compare(full, MapKind::Exact);
        for (const MapKind kind : {MapKind::Exact, MapKind::Compressed, MapKind::Lifted, MapKind::Difference})
            compare(snapshotOf("linformer", length, 31), kind);
    }
}

}  // namespace
}  // namespace linscope
