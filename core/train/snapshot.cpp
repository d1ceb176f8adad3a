#include "core/train/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

namespace linscope {

std::string Projection::label() const {
    std::string text = name;
    if (layer >= 0) text += fmt::format(".layer{}", layer);
    if (head >= 0) text += fmt::format(".head{}", head);
    return text;
}

std::int64_t ParameterValues::elements() const {
    return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

const Projection* Snapshot::projection(std::string_view name, int layer, int head) const {
    const auto find = [&](std::string_view wanted) -> const Projection* {
        for (const Projection& p : projections)
            if (p.name == wanted && (p.layer == -1 || p.layer == layer) && (p.head == -1 || p.head == head)) return &p;
        return nullptr;
    };
    if (const Projection* found = find(name)) return found;
    return name == "F" ? find("E") : nullptr;  // E = F is stored once
}

const ParameterValues* Snapshot::parameter(std::string_view name) const {
    const auto found = std::ranges::find(parameters, name, &ParameterValues::name);
    return found == parameters.end() ? nullptr : &*found;
}

}  // namespace linscope
