#include <fmt/ranges.h>

#include <algorithm>

#include "core/attention/mechanism.h"
#include "core/base/error.h"

namespace linscope {

std::string_view mapAxisName(MapAxis axis) {
    switch (axis) {
        case MapAxis::Tokens:
            return "tokens";
        case MapAxis::Slots:
            return "slots";
        case MapAxis::Buckets:
            return "buckets";
        case MapAxis::Features:
            return "features";
    }
    return "";
}

const MechanismInfo& findMechanism(std::string_view name) {
    const auto found = std::ranges::find(mechanisms(), name, &MechanismInfo::name);
    if (found != mechanisms().end()) return *found;
    std::vector<std::string_view> names;
    for (const MechanismInfo& info : mechanisms()) names.push_back(info.name);
    fail("mechanism", "one of {}, but got \"{}\"", fmt::join(names, ", "), name);
}

Variable Mechanism::forward(const AttentionInput& input) const {
    check(input);
    return forwardImpl(input);
}

Variable Mechanism::naive(const AttentionInput& input) const {
    check(input);
    return naiveImpl(input);
}

void Mechanism::check(const AttentionInput& input) const {
    const Shape& q = input.q.shape();
    require(q.rank() == 4 && q[2] == m_sizes.heads && q[3] == m_sizes.headWidth && q[1] <= m_sizes.length, "attention",
            "q [B, T ≤ {}, {}, {}], but got {}", m_sizes.length, m_sizes.heads, m_sizes.headWidth, q.text());
    require(input.k.shape() == q && input.v.shape() == q, "attention", "k and v of q's shape {}, but got {} and {}",
            q.text(), input.k.shape().text(), input.v.shape().text());
    require(input.layer >= 0 && input.layer < m_sizes.layers, "attention", "a layer below {}, but got {}",
            m_sizes.layers, input.layer);
    require(input.keep.empty() || static_cast<std::int64_t>(input.keep.size()) == q[0] * q[1], "attention",
            "a padding mask of {} values, but got {}", q[0] * q[1], input.keep.size());
}

}  // namespace linscope
