#include "core/analysis/recall.h"

#include <algorithm>
#include <limits>

#include "core/base/error.h"

namespace linscope {

void TopKeyRecall::add(std::int64_t query, std::span<const float> exact, std::span<const float> map) {
    require(exact.size() == map.size() && query >= 0 && query < static_cast<std::int64_t>(exact.size()) && m_k >= 1,
            "recall",
            "two rows of one length beyond query {} and k of at least 1, but got {} and {} weights and k = {}", query,
            exact.size(), map.size(), m_k);
    const auto seen = [&](std::int64_t key) { return map[static_cast<std::size_t>(key)] != 0.0f; };
    m_keys.clear();
    for (std::int64_t key = 0; key < (m_causal ? query : static_cast<std::int64_t>(exact.size())); ++key) {
        if (key == query) continue;
        m_keys.push_back(key);
        m_seesAll = m_seesAll && seen(key);
    }
    const std::int64_t count = std::min(m_k, static_cast<std::int64_t>(m_keys.size()));
    std::partial_sort(m_keys.begin(), m_keys.begin() + count, m_keys.end(), [&](std::int64_t a, std::int64_t b) {
        const float first = exact[static_cast<std::size_t>(a)], second = exact[static_cast<std::size_t>(b)];
        return first != second ? first > second : a < b;
    });
    m_wanted += count;
    m_found += std::count_if(m_keys.begin(), m_keys.begin() + count, seen);
}

double TopKeyRecall::value() const {
    return m_wanted == 0 || m_seesAll ? std::numeric_limits<double>::quiet_NaN()
                                      : static_cast<double>(m_found) / static_cast<double>(m_wanted);
}

}  // namespace linscope
