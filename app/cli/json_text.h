#pragma once

#include <nlohmann/json.hpp>

#include "core/options/options.h"

namespace linscope::app {

/// JSON whose objects keep the order in which they were filled.
using Json = nlohmann::ordered_json;

/// Numbers that are not finite become null: JSON has none of them.
Json jsonNumber(double value);
Json jsonValue(const OptionValue& value);

/// The one document of `--json`, with its end of line.
void printJson(const Json& document);

}  // namespace linscope::app
