#include "core/attention/hybrid/plan.h"

#include <algorithm>
#include <charconv>

#include "core/base/error.h"
#include "core/options/suggest.h"

namespace linscope {
namespace {

constexpr std::string_view kWhere = "hybrid";

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\n");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

/// Parts between `separator`s that stand outside of brackets and quotes.
std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    std::size_t begin = 0;
    int depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '"') quoted = !quoted;
        if (quoted) continue;
        if (c == '(' || c == '[') ++depth;
        if (c == ')' || c == ']') --depth;
        require(depth >= 0, kWhere,
                "plan: a bracket that closes needs one that opens, but column {} of \"{}\" has none", i + 1, text);
        if (c != separator || depth > 0) continue;
        parts.push_back(trimmed(text.substr(begin, i - begin)));
        begin = i + 1;
    }
    require(depth == 0 && !quoted, kWhere, "plan: brackets and quotes that close, but \"{}\" leaves one open", text);
    parts.push_back(trimmed(text.substr(begin)));
    return parts;
}

const MechanismInfo& mechanismOf(std::string_view name) {
    std::vector<std::string> known;
    for (const MechanismInfo& info : mechanisms()) {
        if (info.name == "hybrid") continue;
        if (info.name == name) return info;
        known.emplace_back(info.name);
    }
    require(name != "hybrid", kWhere, "plan: mechanisms as parts, but \"hybrid\" is made of parts itself");
    fail(kWhere, "plan: a mechanism, but \"{}\" is none; {}", name, suggestion(name, known));
}

OptionValues optionsOf(const MechanismInfo& info, std::string_view text) {
    OptionValues values;
    if (trimmed(text).empty()) return values;
    for (const std::string_view entry : split(text, ',')) {
        const auto equals = entry.find('=');
        require(equals != std::string_view::npos, kWhere, "plan: option=value for {}, but found \"{}\"", info.name,
                entry);
        const std::string_view name = trimmed(entry.substr(0, equals));
        std::string_view value = trimmed(entry.substr(equals + 1));
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
        const OptionSpec* spec = findSpec(info.options, name);
        std::vector<std::string> known;
        for (const OptionSpec& option : info.options) known.push_back(option.name);
        require(spec != nullptr, kWhere, "plan: an option of {}, but \"{}\" is none; {}", info.name, name,
                suggestion(name, known));
        setValue(values, name, parseValue(*spec, value, kWhere));
    }
    return values;
}

/// The part's heads are 0 where no count is given, and else at most the layer's `heads`.
HybridPart partOf(std::string_view text, std::int64_t heads) {
    require(!text.empty(), kWhere, "plan: a mechanism between the signs | and +, but found nothing");
    HybridPart part;
    part.heads = 0;
    std::string_view rest = text;
    if (const auto star = rest.rfind('*'); star != std::string_view::npos && rest.find(')', star) == rest.npos) {
        const std::string_view count = trimmed(rest.substr(star + 1));
        const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), part.heads);
        require(error == std::errc{} && end == count.data() + count.size() && part.heads >= 1 && part.heads <= heads,
                kWhere, "plan: a count of heads from 1 to {} after *, but found \"{}\"", heads, count);
        rest = trimmed(rest.substr(0, star));
    }
    const auto open = rest.find('(');
    part.info = &mechanismOf(trimmed(rest.substr(0, open)));
    if (open != std::string_view::npos) {
        require(rest.back() == ')', kWhere, "plan: nothing but *heads after the bracket, but found \"{}\"", text);
        part.options = optionsOf(*part.info, rest.substr(open + 1, rest.size() - open - 2));
    }
    return part;
}

std::vector<HybridPart> layerOf(std::string_view text, std::int64_t heads) {
    std::vector<HybridPart> parts;
    std::int64_t given = 0, open = 0;
    for (const std::string_view part : split(text, '+')) {
        parts.push_back(partOf(part, heads));
        given += parts.back().heads;
        open += parts.back().heads == 0;
    }
    const std::int64_t left = heads - given;
    require(open == 0 ? left == 0 : left >= open && left % open == 0, kWhere,
            "plan: parts that share {} heads, but \"{}\" gives {} to some and leaves {} to {} parts", heads, text,
            given, left, open);
    for (HybridPart& part : parts)
        if (part.heads == 0) part.heads = left / open;
    return parts;
}

}  // namespace

std::vector<std::vector<HybridPart>> readPlan(std::string_view plan, std::int64_t layers, std::int64_t heads) {
    const std::vector<std::string_view> texts = split(plan, '|');
    require(static_cast<std::int64_t>(texts.size()) <= layers, kWhere,
            "plan: at most the model's {} layers, but \"{}\" has {}", layers, plan, texts.size());
    std::vector<std::vector<HybridPart>> result;
    for (std::int64_t layer = 0; layer < layers; ++layer)
        result.push_back(layerOf(texts[static_cast<std::size_t>(layer) % texts.size()], heads));
    return result;
}

}  // namespace linscope
