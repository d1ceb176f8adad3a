#include "core/attention/mechanism.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

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

std::vector<bool> formsOf(const MechanismTraits& traits) {
    std::vector<bool> forms;
    if (traits.bidirectional) forms.push_back(false);
    if (traits.causal) forms.push_back(true);
    return forms;
}

std::string_view nameOf(Fit fit) {
    return fit == Fit::Exact ? "exact" : fit == Fit::Approximate ? "approximate" : "refused";
}

Json positionsJson(const MechanismInfo& mechanism) {
    Json forms = Json::object();
    for (const bool causal : formsOf(mechanism.traits))
        for (std::size_t i = 0; i < kPositionNames.size(); ++i) {
            const PositionFit fit = positionFit(mechanism, static_cast<Position>(i), causal);
            forms[causal ? "decoder" : "encoder"][kPositionNames[i]] = {{"fit", nameOf(fit.fit)},
                                                                        {"reason", fit.reason}};
        }
    return forms;
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
             {{"bidirectional", traits.bidirectional},
              {"causal", traits.causal},
              {"streaming", traits.streaming},
              {"signed_map", traits.signedMap},
              {"fixed_length", traits.fixedLength},
              {"map_axis", mapAxisName(traits.mapAxis)}}},
            {"positions", positionsJson(mechanism)},
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
    fmt::print("  map over {}{}; {}{}{}\n", mapAxisName(traits.mapAxis), traits.signedMap ? ", signed" : "",
               traits.bidirectional && traits.causal ? "bidirectional and causal"
               : traits.causal                       ? "causal only"
                                                     : "bidirectional only",
               traits.streaming ? ", streaming" : "", traits.fixedLength ? ", built for one length" : "");
    for (const OptionSpec& option : mechanism.options)
        fmt::print("    {:<14}{:<14}{}{}{}\n{:32}{}\n", option.name, toTomlText(option.standard), rangeText(option),
                   option.unit.empty() ? "" : " ", option.unit, "", option.help);
}

/// One line for each form of each mechanism; the reasons, which repeat, stand below once.
void printPositions() {
    fmt::print("\nPositions (none, learned and sinusoidal suit all)\n{:<18}{:<15}", "mechanism", "form");
    const Position placed[] = {Position::Rotary, Position::Alibi, Position::RelativeBias};
    for (const Position position : placed) fmt::print("{:<16}", nameOf(position));
    fmt::print("\n");
    std::vector<std::string_view> reasons;
    for (const MechanismInfo& mechanism : mechanisms())
        for (const bool causal : formsOf(mechanism.traits)) {
            fmt::print("{:<18}{:<15}", mechanism.name, causal ? "causal" : "bidirectional");
            for (const Position position : placed) {
                const PositionFit fit = positionFit(mechanism, position, causal);
                std::string cell(nameOf(fit.fit));
                if (!fit.reason.empty()) {
                    auto found = std::ranges::find(reasons, fit.reason);
                    if (found == reasons.end()) found = reasons.insert(reasons.end(), fit.reason);
                    cell += fmt::format(" {}", found - reasons.begin() + 1);
                }
                fmt::print("{:<16}", cell);
            }
            fmt::print("\n");
        }
    for (std::size_t i = 0; i < reasons.size(); ++i) fmt::print("  {}  {}\n", i + 1, reasons[i]);
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
    printPositions();
    return 0;
}

}  // namespace linscope::app
