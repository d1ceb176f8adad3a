#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace linscope {

/// A value that an experiment file can hold. A list of integers is a value per layer.
using OptionValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>>;

/// Named values in the order in which they were given; names are unique.
using OptionValues = std::vector<std::pair<std::string, OptionValue>>;

enum class OptionType { Flag, Integer, Real, Text, Choice, PerLayer };

/// What the parser, the editor's fields, `linscope mechanisms` and the documentation know of one option.
struct OptionSpec {
    std::string name;
    OptionType type = OptionType::Integer;
    OptionValue standard;  ///< the default
    double minimum = -std::numeric_limits<double>::infinity();
    double maximum = std::numeric_limits<double>::infinity();
    std::vector<std::string> choices;  ///< for Choice
    std::string unit;                  ///< "slots", "tokens"; empty where there is none
    std::string help;                  ///< one sentence
};

struct OptionText {
    std::string_view name;
    std::string_view unit;
    std::string_view help;
};

struct OptionRange {
    double minimum = -std::numeric_limits<double>::infinity();
    double maximum = std::numeric_limits<double>::infinity();
};

/// Goes over the members of an options struct. A struct lists its members once, in
/// `void visit(OptionVisitor&)`, and gets reading, checking, writing and the editor's fields from it.
class OptionVisitor {
public:
    virtual ~OptionVisitor() = default;
    virtual void flag(const OptionText& text, bool& value) = 0;
    virtual void integer(const OptionText& text, std::int64_t& value, OptionRange range) = 0;
    virtual void real(const OptionText& text, double& value, OptionRange range) = 0;
    virtual void text(const OptionText& text, std::string& value) = 0;
    virtual void choice(const OptionText& text, std::string& value, const std::vector<std::string>& choices) = 0;
    /// One integer for all layers, or a list with one for each.
    virtual void perLayer(const OptionText& text, std::vector<std::int64_t>& value, OptionRange range) = 0;
};

namespace detail {
using VisitFunction = void (*)(void* options, OptionVisitor& visitor);
std::vector<OptionSpec> collectSpecs(void* options, VisitFunction visit);
OptionValues collectValues(void* options, VisitFunction visit);
void assignValues(void* options, VisitFunction visit, const OptionValues& values, std::string_view where);

template <typename Options>
void visitErased(void* options, OptionVisitor& visitor) {
    static_cast<Options*>(options)->visit(visitor);
}
}  // namespace detail

/// The options that a struct has, with its defaults.
template <typename Options>
std::vector<OptionSpec> specsOf() {
    Options options;
    return detail::collectSpecs(&options, &detail::visitErased<Options>);
}

/// All values of a struct, in the order of its members.
template <typename Options>
OptionValues valuesOf(Options options) {
    return detail::collectValues(&options, &detail::visitErased<Options>);
}

/// A struct with `values` over its defaults. Throws Error `[where] …` on an unknown name, a wrong
/// type, or a value outside its range, and says what was expected. An integer is taken for a real,
/// and one integer for a PerLayer list of length 1.
template <typename Options>
Options optionsFrom(const OptionValues& values, std::string_view where) {
    Options options;
    detail::assignValues(&options, &detail::visitErased<Options>, values, where);
    return options;
}

/// What is acceptable, in the words of the messages: "an integer from 1 to 65536 (tokens)".
std::string expectedText(const OptionSpec& spec);

/// Throws as optionsFrom does when `value` is not acceptable for `spec`; returns it in the spec's own type.
OptionValue checkedValue(const OptionSpec& spec, const OptionValue& value, std::string_view where);

/// `text` read as a value of the spec's type ("64", "1e-3", "[64, 32]", "true"); throws as checkedValue.
OptionValue parseValue(const OptionSpec& spec, std::string_view text, std::string_view where);

/// All options of `specs` in their order, from `values` where they are given and else the defaults; throws
/// as optionsFrom does.
OptionValues checkedValues(const std::vector<OptionSpec>& specs, const OptionValues& values, std::string_view where);

/// The value as it stands in TOML: `64`, `1e-3`, `"layerwise"`, `[64, 32]`. Reals are the shortest text that
/// reads back as the same number; a list of one integer is that integer.
std::string toTomlText(const OptionValue& value);

/// The value as parseValue reads it and a field shows it: as toTomlText, but text without quotes and escapes.
std::string toPlainText(const OptionValue& value);

const OptionSpec* findSpec(const std::vector<OptionSpec>& specs, std::string_view name);
const OptionValue* findValue(const OptionValues& values, std::string_view name);
void setValue(OptionValues& values, std::string_view name, OptionValue value);

}  // namespace linscope
