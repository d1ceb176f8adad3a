#include "app/models/lane_name.h"

#include <algorithm>
#include <sstream>
#include <string_view>

#include "core/attention/mechanism.h"

namespace linscope::app {

namespace {

/// The option's value as a name has it; nothing where the mechanism has no such option.
std::optional<std::string> valueText(const LaneConfig& lane, std::string_view option) {
    const OptionSpec* spec = findSpec(findMechanism(lane.mechanism).options, option);
    if (!spec) return std::nullopt;
    const OptionValue* chosen = findValue(lane.options, option);
    return toPlainText(chosen ? *chosen : spec->standard);
}

std::string spoken(std::string mechanism) {
    std::replace(mechanism.begin(), mechanism.end(), '_', ' ');
    return mechanism;
}

bool isNumber(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::optional<std::string> followedName(const LaneConfig& before, const LaneConfig& after) {
    std::string rest;
    for (const std::string& mechanism : {before.mechanism, spoken(before.mechanism)})
        if (before.name == mechanism || before.name.starts_with(mechanism + " "))
            rest = before.name.substr(mechanism.size()) + " ";
    if (rest.empty()) return std::nullopt;
    const bool underscored = before.name.starts_with(before.mechanism);
    std::string name = underscored ? after.mechanism : spoken(after.mechanism);
    std::istringstream words(rest);
    for (std::string word; words >> word;) {
        const auto equals = word.find('=');
        const std::string option = equals == std::string::npos ? before.mechanism : word.substr(0, equals);
        const std::string value = equals == std::string::npos ? word : word.substr(equals + 1);
        if (valueText(before, option) == value) {
            const auto now = valueText(after, equals == std::string::npos ? after.mechanism : option);
            if (now) name += equals == std::string::npos ? " " + *now : " " + option + "=" + *now;
        } else if (!isNumber(word) || !(words >> std::ws).eof()) {
            return std::nullopt;
        }
    }
    return name;
}

}  // namespace linscope::app
