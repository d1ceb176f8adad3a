#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/attention/mechanism.h"

namespace linscope {

/// Some heads of one layer and the mechanism that they have.
struct HybridPart {
    const MechanismInfo* info = nullptr;
    OptionValues options;
    std::int64_t heads = 1;
};

/// Reads `plan`: layers apart by `|`, repeated from the first when the model has more; in a layer its parts, apart by
/// `+`; a part is `mechanism`, `mechanism*heads` or `mechanism(option=value, …)*heads`. Parts without a count share
/// what the others leave in equal shares. Throws Error `[hybrid] …` that names what is wrong and where: brackets,
/// mechanisms, options, counts that do not sum to `heads`, more layers than the model has.
std::vector<std::vector<HybridPart>> readPlan(std::string_view plan, std::int64_t layers, std::int64_t heads);

}  // namespace linscope
