#include "core/attention/mechanism.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>

#include "app/cli/commands.h"
#include "app/cli/json_text.h"

namespace linscope::app {
namespace {

std::string_view nameOf(OptionType type) {
    switch (type) {
        case OptionType::Flag:
            return "flag";
        case OptionType::Integer:
            return "integer";
        case OptionType::Real:
            return "real";
        case OptionType::Text:
            return "text";
        case OptionType::Choice:
            return "choice";
        case OptionType::PerLayer:
            return "integer or one per layer";
    }
    return "unknown";
}

Json optionJson(const OptionSpec& option) {
    return {{"name", option.name},
            {"type", nameOf(option.type)},
            {"default", jsonValue(option.standard)},
            {"minimum", jsonNumber(option.minimum)},
            {"maximum", jsonNumber(option.maximum)},
            {"choices", option.choices},
            {"unit", option.unit},
            {"help", option.help}};
}

Json mechanismJson(const MechanismInfo& mechanism) {
    Json options = Json::array();
    for (const OptionSpec& option : mechanism.options) options.push_back(optionJson(option));
    const MechanismTraits& traits = mechanism.traits;
    return {{"name", mechanism.name},
            {"title", mechanism.title},
            {"summary", mechanism.summary},
            {"paper", mechanism.paper},
            {"traits",
             {{"causal", traits.causal},
              {"streaming", traits.streaming},
              {"signed_map", traits.signedMap},
              {"fixed_length", traits.fixedLength},
              {"map_axis", mapAxisName(traits.mapAxis)}}},
            {"options", std::move(options)}};
}

std::string rangeText(const OptionSpec& option) {
    if (!option.choices.empty()) return fmt::format("{}", fmt::join(option.choices, " | "));
    const bool below = std::isfinite(option.minimum), above = std::isfinite(option.maximum);
    if (below && above) return fmt::format("{:g} to {:g}", option.minimum, option.maximum);
    if (below) return fmt::format("at least {:g}", option.minimum);
    if (above) return fmt::format("at most {:g}", option.maximum);
    return std::string(nameOf(option.type));
}

void printMechanism(const MechanismInfo& mechanism) {
    const MechanismTraits& traits = mechanism.traits;
    fmt::print("{}: {}\n  {}\n  {}\n", mechanism.name, mechanism.title, mechanism.summary, mechanism.paper);
    fmt::print("  map over {}{}{}{}{}\n", mapAxisName(traits.mapAxis), traits.signedMap ? ", signed" : "",
               traits.causal ? ", causal" : "", traits.streaming ? ", streaming" : "",
               traits.fixedLength ? ", built for one length" : "");
    for (const OptionSpec& option : mechanism.options)
        fmt::print("    {:<14}{:<14}{}{}{}\n{:32}{}\n", option.name, toTomlText(option.standard), rangeText(option),
                   option.unit.empty() ? "" : " ", option.unit, "", option.help);
}

}  // namespace

int runMechanisms(const MechanismsArguments& arguments) {
    if (arguments.json) {
        Json list = Json::array();
        for (const MechanismInfo& mechanism : mechanisms()) list.push_back(mechanismJson(mechanism));
        printJson({{"mechanisms", std::move(list)}});
        return 0;
    }
    for (const MechanismInfo& mechanism : mechanisms()) printMechanism(mechanism);
    return 0;
}

}  // namespace linscope::app
