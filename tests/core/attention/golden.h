#pragma once

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "core/attention/proof_case.h"
#include "core/base/error.h"

// What other implementations computed, as the scripts in tests/golden write it.

namespace linscope::golden {

/// The file of that name. Throws Error when it cannot be read.
inline nlohmann::json read(const std::string& name) {
    const std::string path = std::string(LINSCOPE_GOLDEN) + "/" + name + ".json";
    std::ifstream file(path);
    require(file.is_open(), "golden", "a readable file was required, but {} is none", path);
    return nlohmann::json::parse(file);
}

inline OptionValues optionsOf(const MechanismInfo& mechanism, const nlohmann::json& json) {
    OptionValues options;
    for (const auto& [name, value] : json.items()) {
        if (value.is_string())
            options.emplace_back(name, value.get<std::string>());
        else if (std::ranges::find(mechanism.options, name, &OptionSpec::name)->type == OptionType::PerLayer)
            options.emplace_back(name, std::vector{value.get<std::int64_t>()});
        else
            options.emplace_back(name, value.get<std::int64_t>());
    }
    return options;
}

/// The mechanism, sizes and options of one case, built for `length` tokens.
inline proofs::Case caseOf(const nlohmann::json& golden, std::int64_t length) {
    const MechanismInfo& mechanism = findMechanism(golden.at("mechanism").get<std::string>());
    return {
        &mechanism,
        {.heads = golden.at("heads"), .headWidth = golden.at("width"), .length = length, .causal = golden.at("causal")},
        golden.at("batch"),
        optionsOf(mechanism, golden.at("options"))};
}

}  // namespace linscope::golden
