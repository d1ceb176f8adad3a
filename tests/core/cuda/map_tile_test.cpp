#include "core/analysis/map_tile.h"

#include <gtest/gtest.h>

#include <algorithm>
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

/// What a tile's rows may have beside their products.
struct Terms {
    std::vector<float> ofDistance = {};  // [2·count−1] of distances from 1 − count on, or empty
    std::int64_t panel = 0;              ///< > 0: keys come in parts of so many, with the sums of all
};

// softmax(q·keysᵀ/√D + what distance adds) by its definition, in double precision.
std::vector<double> definition(const MapTile& tile, const Terms& terms, const std::vector<float>& q,
                               const std::vector<float>& keys) {
    std::vector<double> map(static_cast<std::size_t>(tile.rows * tile.count), 0.0);
    for (std::int64_t i = 0; i < tile.rows; ++i) {
        const std::int64_t query = tile.firstQuery + i, seen = tile.causal ? query + 1 : tile.count;
        double sum = 0;
        for (std::int64_t j = 0; j < seen; ++j) {
            if (tile.others && seen > 1 && j == query) continue;
            double score = 0;
            for (std::int64_t d = 0; d < tile.headWidth; ++d)
                score += double(q[std::size_t(i * tile.headWidth + d)]) * keys[std::size_t(j * tile.headWidth + d)];
            score /= std::sqrt(double(tile.headWidth));
            if (!terms.ofDistance.empty()) score += double(terms.ofDistance[std::size_t(j - query + tile.count - 1)]);
            sum += map[std::size_t(i * tile.count + j)] = std::exp(score);
        }
        for (std::int64_t j = 0; j < tile.count; ++j) map[std::size_t(i * tile.count + j)] /= sum;
    }
    return map;
}

/// Writes the tile's parts, each [rows, its keys], behind one another into `map`.
void inPanels(DeviceContext& context, const MapTile& tile, std::int64_t panel, float* map) {
    auto* scores = static_cast<float*>(context.allocate(std::size_t(tile.rows * tile.count) * sizeof(float)));
    auto* sums = static_cast<float*>(context.allocate(std::size_t(2 * tile.rows) * sizeof(float)));
    cuda::rowSums(context, tile, scores, sums);
    for (std::int64_t first = 0; first < tile.count; first += panel) {
        MapTile part = tile;
        part.keys += first * tile.headWidth;
        part.firstKey = first;
        part.count = std::min(panel, tile.count - first);
        part.sums = sums;
        cuda::mapTile(context, part, map + tile.rows * first);
    }
    context.wait();
    context.release(scores);
    context.release(sums);
}

void compare(MapTile tile, const Terms& terms = {}) {
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
    float* const extras = terms.ofDistance.empty() ? nullptr : put(terms.ofDistance);
    tile.q = qThere;
    tile.keys = keysThere;
    tile.ofDistance = extras == nullptr ? nullptr : extras + tile.count - 1;
    const std::int64_t panel = terms.panel > 0 ? terms.panel : tile.count;
    if (terms.panel > 0)
        inPanels(context, tile, panel, mapThere);
    else
        cuda::mapTile(context, tile, mapThere);
    context.toHost(map.data(), mapThere, map.size() * sizeof(float));
    context.wait();
    for (float* memory : {qThere, keysThere, mapThere, extras}) context.release(memory);
    const std::vector<double> wanted = definition(tile, terms, q, keys);
    for (std::int64_t i = 0; i < tile.rows; ++i)
        for (std::int64_t j = 0; j < tile.count; ++j) {
            const std::int64_t first = j / panel * panel, width = std::min(panel, tile.count - first);
            ASSERT_NEAR(map[std::size_t(tile.rows * first + i * width + j - first)],
                        wanted[std::size_t(i * tile.count + j)], 1e-5)
                << "row " << i << ", key " << j;
        }
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

TEST_F(MapTileTest, AddsWhatDistanceAsksFor) {
    for (const bool causal : {false, true})
        compare({.rows = 63, .count = 500, .headWidth = 60, .firstQuery = 100, .causal = causal},
                {.ofDistance = normalValues(999, 3)});
}

TEST_F(MapTileTest, LeavesAnOwnKeyOutWhereThereAreOthers) {
    for (const bool causal : {false, true})
        for (const std::int64_t first : {0, 100})
            compare({.rows = 63, .count = 500, .headWidth = 32, .firstQuery = first, .causal = causal, .others = true});
}

TEST_F(MapTileTest, ComesInPanelsOfKeysToo) {
    for (const bool causal : {false, true})
        for (const bool others : {false, true})
            compare({.rows = 163, .count = 163, .headWidth = 32, .causal = causal, .others = others},
                    {.ofDistance = normalValues(325, 3), .panel = 40});
}

}  // namespace
}  // namespace linscope
