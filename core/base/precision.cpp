#include "core/base/precision.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "core/base/error.h"

namespace linscope {

Precision precisionOf(std::string_view name) {
    const auto found = std::ranges::find(kPrecisionNames, name);
    require(found != kPrecisionNames.end(), "precision", "one of {}, but got \"{}\"", fmt::join(kPrecisionNames, ", "),
            name);
    return static_cast<Precision>(found - kPrecisionNames.begin());
}

}  // namespace linscope
