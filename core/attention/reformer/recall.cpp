#include "core/attention/reformer/recall.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/base/error.h"

namespace linscope {

double topKeyRecall(std::span<const float> q, std::int64_t width, std::span<const std::int32_t> attended, bool causal,
                    std::int64_t k) {
    const std::int64_t length = width > 0 ? static_cast<std::int64_t>(q.size()) / width : 0;
    require(length * width == static_cast<std::int64_t>(q.size()) && k >= 1 &&
                static_cast<std::int64_t>(attended.size()) == length * length,
            "recall", "q [T,{}], attended [T,T] and k of at least 1, but got {} and {} numbers and k = {}", width,
            q.size(), attended.size(), k);
    const auto dot = [&](std::int64_t i, std::int64_t j) {
        double sum = 0;
        for (std::int64_t c = 0; c < width; ++c)
            sum += static_cast<double>(q[static_cast<std::size_t>(i * width + c)]) *
                   static_cast<double>(q[static_cast<std::size_t>(j * width + c)]);
        return sum;
    };
    std::vector<double> inverse(static_cast<std::size_t>(length)), scores(inverse);
    for (std::int64_t j = 0; j < length; ++j)
        inverse[static_cast<std::size_t>(j)] = 1.0 / std::max(std::sqrt(dot(j, j)), 1e-12);
    std::int64_t found = 0, wanted = 0;
    std::vector<std::int64_t> keys;
    for (std::int64_t i = 0; i < length; ++i) {
        keys.clear();
        for (std::int64_t j = 0; j < (causal ? i : length); ++j) {
            if (j == i) continue;
            scores[static_cast<std::size_t>(j)] = dot(i, j) * inverse[static_cast<std::size_t>(j)];
            keys.push_back(j);
        }
        const std::int64_t count = std::min(k, static_cast<std::int64_t>(keys.size()));
        std::partial_sort(keys.begin(), keys.begin() + count, keys.end(), [&](std::int64_t a, std::int64_t b) {
            const double first = scores[static_cast<std::size_t>(a)], second = scores[static_cast<std::size_t>(b)];
            return first != second ? first > second : a < b;
        });
        wanted += count;
        for (std::int64_t n = 0; n < count; ++n)
            if (attended[static_cast<std::size_t>(i * length + keys[static_cast<std::size_t>(n)])] > 0) ++found;
    }
    return wanted > 0 ? static_cast<double>(found) / static_cast<double>(wanted)
                      : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace linscope
