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

PositionFit positionFit(const MechanismInfo& info, Position position, bool causal) {
    if (position == Position::None || position == Position::Learned || position == Position::Sinusoidal) return {};
    if (info.position != nullptr) return info.position(position, causal);
    return {Fit::Refused, "its attention knows no distances"};
}

void checkAttention(const MechanismInfo& info, const OptionValues& options, const AttentionSizes& sizes) {
    require(!sizes.causal || info.traits.causal, info.name,
            "model.kind \"encoder\", but it is \"decoder\", and {} has no causal form", info.name);
    require(sizes.causal || info.traits.bidirectional, info.name,
            "model.kind \"decoder\", but it is \"encoder\", and {} runs forward in time only", info.name);
    const PositionFit fit = positionFit(info, sizes.position, sizes.causal);
    require(fit.fit != Fit::Refused, info.name, "a position scheme that {} can have, but model.position is \"{}\": {}",
            info.name, nameOf(sizes.position), fit.reason);
    if (info.validate != nullptr) info.validate(options, sizes);
}

void requireForm(const MechanismInfo& info, const OptionValues& options, const AttentionSizes& sizes, Device device) {
    if (device == Device::Cpu) return;
    require(info.cudaForm != nullptr, info.name,
            "a CUDA form of {} was required for --device cuda, but it has none yet; use --device cpu", info.name);
    require(info.cudaForm(options, sizes), info.name,
            "a CUDA form of {} with these options was required for --device cuda, but it has none yet ({}); use "
            "--device cpu",
            info.name, info.cudaForms);
}

}  // namespace linscope
