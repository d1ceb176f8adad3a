#include "core/analysis/map_tile.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "core/cuda/context.h"
#include "tests/core/cuda/cuda_test.h"

namespace linscope {
namespace {

std::vector<float> normalValues(std::int64_t count, unsigned seed) {
    std::mt19937 random{seed};
    std::normal_distribution<float> normal;
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = 2 * normal(random);
    return values;
}

// softmax(q·keysᵀ/√D) by its definition, in double precision.
std::vector<double> definition(const MapTile& tile, const std::vector<float>& q, const std::vector<float>& keys) {
    std::vector<double> map(static_cast<std::size_t>(tile.rows * tile.count), 0.0);
    for (std::int64_t i = 0; i < tile.rows; ++i) {
        double sum = 0;
        for (std::int64_t j = 0; j < tile.count; ++j) {
            if (tile.causal && j > tile.firstQuery + i) continue;
            double score = 0;
            for (std::int64_t d = 0; d < tile.headWidth; ++d)
                score += double(q[std::size_t(i * tile.headWidth + d)]) * keys[std::size_t(j * tile.headWidth + d)];
            sum += map[std::size_t(i * tile.count + j)] = std::exp(score / std::sqrt(double(tile.headWidth)));
        }
        for (std::int64_t j = 0; j < tile.count; ++j) map[std::size_t(i * tile.count + j)] /= sum;
    }
    return map;
}

void compare(MapTile tile) {
    const std::vector<float> q = normalValues(tile.rows * tile.headWidth, 1);
    const std::vector<float> keys = normalValues(tile.count * tile.headWidth, 2);
    std::vector<float> map(static_cast<std::size_t>(tile.rows * tile.count), std::numeric_limits<float>::quiet_NaN());
    DeviceContext context;
    const auto put = [&](const std::vector<float>& values) {
        auto* memory = static_cast<float*>(context.allocate(values.size() * sizeof(float)));
        context.toDevice(memory, values.data(), values.size() * sizeof(float));
        return memory;
    };
    float *const qThere = put(q), *const keysThere = put(keys), *const mapThere = put(map);
    tile.q = qThere;
    tile.keys = keysThere;
    cuda::mapTile(context, tile, mapThere);
    context.toHost(map.data(), mapThere, map.size() * sizeof(float));
    context.wait();
    for (float* memory : {qThere, keysThere, mapThere}) context.release(memory);
    const std::vector<double> wanted = definition(tile, q, keys);
    for (std::size_t i = 0; i < map.size(); ++i) ASSERT_NEAR(map[i], wanted[i], 1e-5) << "cell " << i;
}

using MapTileTest = test::CudaTest;

TEST_F(MapTileTest, IsTheDefinition) {
    for (const std::int64_t count : {1, 63, 500, 1024})
        for (const std::int64_t width : {32, 60, 64}) compare({.rows = 63, .count = count, .headWidth = width});
}

TEST_F(MapTileTest, SeesNoLaterKeyWhereItIsCausal) {
    for (const std::int64_t first : {0, 100, 437})
        compare({.rows = 63, .count = 500, .headWidth = 64, .firstQuery = first, .causal = true});
}

}  // namespace
}  // namespace linscope
