#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace linscope {

/// Share of the keys that matter most which a map sees: for each query the k others of greatest exact weight (fewer
/// where it may see fewer), how many of them have a weight in the map that is not 0; the mean over all such keys of all
/// queries. 1: nothing of weight was missed. A query's own token counts in neither; ties go to the earlier key.
class TopKeyRecall {
public:
    explicit TopKeyRecall(bool causal, std::int64_t k = 16) : m_causal(causal), m_k(k) {}

    /// The row of one query, of exact attention and of the map, a weight for every key. Causal: only keys before the
    /// query are looked at.
    void add(std::int64_t query, std::span<const float> exact, std::span<const float> map);

    /// NaN where no key was to be seen, and for a map that sees all keys.
    double value() const;

private:
    bool m_causal;
    std::int64_t m_k, m_found = 0, m_wanted = 0;
    bool m_seesAll = true;
    std::vector<std::int64_t> m_keys;  ///< of the row at hand
};

}  // namespace linscope
