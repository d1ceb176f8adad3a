#include "core/attention/position.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace linscope {

Position positionOf(std::string_view name) {
    const auto found = std::ranges::find(kPositionNames, name);
    require(found != kPositionNames.end(), "position", "one of {}, but got \"{}\"", fmt::join(kPositionNames, ", "),
            name);
    return static_cast<Position>(found - kPositionNames.begin());
}

std::vector<double> alibiSlopes(std::int64_t heads) {
    std::vector<double> slopes;
    for (std::int64_t h = 0; h < heads; ++h)
        slopes.push_back(std::exp2(-8.0 * static_cast<double>(h + 1) / static_cast<double>(heads)));
    return slopes;
}

namespace {

constexpr std::int64_t kFarthest = 128;

std::int64_t bucketOf(std::int64_t distance, bool causal) {
    std::int64_t buckets = kRelativeBuckets, offset = 0;
    if (causal) {
        distance = std::min<std::int64_t>(distance, 0);
    } else {
        buckets /= 2;
        offset = distance > 0 ? buckets : 0;
    }
    const std::int64_t far = std::abs(distance), exact = buckets / 2;
    if (far < exact) return offset + far;
    const double share = std::log(static_cast<double>(far) / static_cast<double>(exact)) /
                         std::log(static_cast<double>(kFarthest) / static_cast<double>(exact));
    return offset +
           std::min(buckets - 1, exact + static_cast<std::int64_t>(share * static_cast<double>(buckets - exact)));
}

}  // namespace

std::int64_t relativeBucket(std::int64_t distance, bool causal) {
    static const auto table = [] {
        std::array<std::array<std::int64_t, 2 * kFarthest + 1>, 2> buckets{};
        for (const bool past : {false, true})
            for (std::int64_t d = -kFarthest; d <= kFarthest; ++d)
                buckets[past][static_cast<std::size_t>(d + kFarthest)] = bucketOf(d, past);
        return buckets;
    }();
    return table[causal][static_cast<std::size_t>(std::clamp(distance, -kFarthest, kFarthest) + kFarthest)];
}

}  // namespace linscope
