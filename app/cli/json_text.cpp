#include "app/cli/json_text.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

namespace linscope::app {

Json jsonNumber(double value) {
    return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json jsonValue(const OptionValue& value) {
    return std::visit([](const auto& held) { return Json(held); }, value);
}

void printJson(const Json& document) {
    // Text of other encodings can come from a file; it must not end the program here.
    fmt::print("{}\n", document.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace linscope::app
