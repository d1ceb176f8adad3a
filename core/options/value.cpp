#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "core/base/error.h"
#include "core/base/overloaded.h"
#include "core/options/options.h"
#include "core/options/suggest.h"
#include "core/options/utf8.h"

namespace linscope {
namespace {

std::string realText(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    char buffer[64];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
    std::string text(buffer, end);
    if (const auto exponent = text.find('e'); exponent != std::string::npos) {
        std::size_t digits = exponent + 1;
        if (text[digits] == '+')
            text.erase(digits, 1);
        else if (text[digits] == '-')
            ++digits;
        while (digits + 1 < text.size() && text[digits] == '0') text.erase(digits, 1);
        return text;
    }
    // Without a point TOML would read an integer.
    return text.find('.') == std::string::npos ? text + ".0" : text;
}

std::string quotedText(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
                    out += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
                else
                    out += c;
        }
    }
    return out + '"';
}

std::string listText(const std::vector<std::int64_t>& list) {
    if (list.size() == 1) return std::to_string(list.front());
    return fmt::format("[{}]", fmt::join(list, ", "));
}

/// A bound as a person writes it: 65536 and not 65536.0.
std::string boundText(double bound) {
    constexpr double kExact = 9007199254740992.0;  // 2^53
    if (std::abs(bound) < kExact && bound == std::floor(bound)) return std::to_string(static_cast<std::int64_t>(bound));
    return realText(bound);
}

std::string rangeText(const OptionSpec& spec) {
    const bool below = std::isfinite(spec.minimum), above = std::isfinite(spec.maximum);
    std::string text;
    if (below && above)
        text = fmt::format(" from {} to {}", boundText(spec.minimum), boundText(spec.maximum));
    else if (below)
        text = fmt::format(" of at least {}", boundText(spec.minimum));
    else if (above)
        text = fmt::format(" of at most {}", boundText(spec.maximum));
    return spec.unit.empty() ? text : fmt::format("{} ({})", text, spec.unit);
}

[[noreturn]] void refuse(const OptionSpec& spec, std::string_view found, std::string_view where,
                         std::string_view mend = {}) {
    fail(where, "{}: expected {}, but found {}{}{}", spec.name, expectedText(spec), found, mend.empty() ? "" : "; ",
         mend);
}

bool inRange(const OptionSpec& spec, double value) {
    return value >= spec.minimum && value <= spec.maximum;
}

bool inRange(const OptionSpec& spec, const std::vector<std::int64_t>& list) {
    return !list.empty() &&
           std::all_of(list.begin(), list.end(), [&](auto entry) { return inRange(spec, static_cast<double>(entry)); });
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r\n";
    const auto first = text.find_first_not_of(kBlank);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

template <typename Number>
std::optional<Number> numberFrom(std::string_view text) {
    text = trimmed(text);
    if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

std::optional<std::vector<std::int64_t>> listFrom(std::string_view text) {
    text = trimmed(text);
    const bool opens = text.starts_with('['), closes = text.ends_with(']');
    if (opens != closes || text.size() == (opens ? 1 : 0)) return std::nullopt;
    if (opens) text = text.substr(1, text.size() - 2);
    std::vector<std::int64_t> list;
    while (true) {
        const auto comma = text.find(',');
        const auto entry = numberFrom<std::int64_t>(text.substr(0, comma));
        if (!entry) return std::nullopt;
        list.push_back(*entry);
        if (comma == std::string_view::npos) return list;
        text.remove_prefix(comma + 1);
    }
}

}  // namespace

std::string expectedText(const OptionSpec& spec) {
    switch (spec.type) {
        case OptionType::Flag:
            return "true or false";
        case OptionType::Integer:
            return "an integer" + rangeText(spec);
        case OptionType::Real:
            return "a number" + rangeText(spec);
        case OptionType::Text:
            return "UTF-8 text";
        case OptionType::Choice:
            return fmt::format("one of {}", fmt::join(spec.choices, ", "));
        case OptionType::PerLayer:
            return "an integer" + rangeText(spec) + " or a list of such, one per layer";
    }
    return {};
}

OptionValue checkedValue(const OptionSpec& spec, const OptionValue& value, std::string_view where) {
    const auto* integer = std::get_if<std::int64_t>(&value);
    const auto* text = std::get_if<std::string>(&value);
    switch (spec.type) {
        case OptionType::Flag:
            if (std::holds_alternative<bool>(value)) return value;
            break;
        case OptionType::Integer:
            if (integer && inRange(spec, static_cast<double>(*integer))) return value;
            break;
        case OptionType::Real: {
            const auto* real = std::get_if<double>(&value);
            if (!integer && !real) break;
            const double number = real ? *real : static_cast<double>(*integer);
            if (std::isfinite(number) && inRange(spec, number)) return number;
            break;
        }
        case OptionType::Text:
            if (!text) break;
            if (const auto bad = findInvalidUtf8(*text); bad != std::string::npos)
                refuse(spec, fmt::format("a byte that is not UTF-8 at byte {}", bad), where);
            return value;
        case OptionType::Choice:
            if (!text) break;
            if (std::find(spec.choices.begin(), spec.choices.end(), *text) != spec.choices.end()) return value;
            if (const std::string nearest = nearestName(*text, spec.choices); !nearest.empty())
                refuse(spec, toTomlText(value), where, fmt::format("did you mean \"{}\"?", nearest));
            break;
        case OptionType::PerLayer: {
            const auto* list = std::get_if<std::vector<std::int64_t>>(&value);
            if (!integer && !list) break;
            std::vector<std::int64_t> entries = list ? *list : std::vector<std::int64_t>{*integer};
            if (inRange(spec, entries)) return entries;
            break;
        }
    }
    refuse(spec, toTomlText(value), where);
}

OptionValue parseValue(const OptionSpec& spec, std::string_view text, std::string_view where) {
    switch (spec.type) {
        case OptionType::Flag:
            if (trimmed(text) == "true") return true;
            if (trimmed(text) == "false") return false;
            break;
        case OptionType::Integer:
            if (const auto number = numberFrom<std::int64_t>(text)) return checkedValue(spec, *number, where);
            break;
        case OptionType::Real:
            if (const auto number = numberFrom<double>(text)) return checkedValue(spec, *number, where);
            break;
        case OptionType::Text:
            return checkedValue(spec, std::string(text), where);
        case OptionType::Choice:
            return checkedValue(spec, std::string(trimmed(text)), where);
        case OptionType::PerLayer:
            if (auto list = listFrom(text)) return checkedValue(spec, std::move(*list), where);
            break;
    }
    refuse(spec, quotedText(text), where);
}

std::string toTomlText(const OptionValue& value) {
    return std::visit(
        Overloaded{[](bool flag) { return std::string(flag ? "true" : "false"); },
                   [](std::int64_t integer) { return std::to_string(integer); },
                   [](double real) { return realText(real); }, [](const std::string& text) { return quotedText(text); },
                   [](const std::vector<std::int64_t>& list) { return listText(list); }},
        value);
}

std::string toPlainText(const OptionValue& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    return toTomlText(value);
}

}  // namespace linscope
