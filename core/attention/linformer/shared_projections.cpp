#include "core/attention/linformer/shared_projections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace linscope {

std::vector<std::string> sharingNames() {
    return {"none", "headwise", "key_value", "layerwise"};
}

Sharing sharingOf(std::string_view name) {
    const std::vector<std::string> names = sharingNames();
    return static_cast<Sharing>(std::ranges::find(names, name) - names.begin());
}

SharedProjections::SharedProjections(const ProjectionPlan& plan, const AttentionSizes& sizes,
                                     ParameterStore& parameters, const Named& named)
    : m_perLayer(plan.sharing == Sharing::None ? static_cast<std::size_t>(sizes.heads) : 1) {
    const bool perHead = plan.sharing == Sharing::None, single = plan.sharing == Sharing::Layerwise;
    const auto add = [&](const std::string& prefix, const char* name, int layer, int head) {
        const std::int64_t slots = plan.slots[static_cast<std::size_t>(layer)];
        const double deviation = plan.deviation > 0 ? plan.deviation : 1.0 / std::sqrt(static_cast<double>(slots));
        Parameter* matrix = &parameters.add(
            prefix + name, {slots, plan.columns},
            {.standardDeviation = deviation, .decay = false, .projection = plan.trained, .buffer = !plan.trained});
        named(name, single ? -1 : layer, perHead ? head : -1, matrix);
        return matrix;
    };
    for (int layer = 0; layer < sizes.layers; ++layer)
        for (int head = 0; head < static_cast<int>(m_perLayer); ++head) {
            const std::string prefix = perHead ? fmt::format("attention.layer{}.head{}.", layer, head)
                                               : fmt::format("attention.layer{}.", layer);
            if (single)
                m_e.push_back(layer == 0 ? add("attention.", "E", layer, head) : m_e[0]);
            else
                m_e.push_back(add(prefix, "E", layer, head));
            const bool same = single || plan.sharing == Sharing::KeyValue;
            m_f.push_back(same ? m_e.back() : add(prefix, "F", layer, head));
        }
}

}  // namespace linscope
