#include "core/options/options.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/options/suggest.h"

namespace linscope {
namespace {

class SpecCollector : public OptionVisitor {
public:
    std::vector<OptionSpec> specs;

    void flag(const OptionText& text, bool& value) override { add(text, OptionType::Flag, value); }
    void integer(const OptionText& text, std::int64_t& value, OptionRange range) override {
        add(text, OptionType::Integer, value, range);
    }
    void real(const OptionText& text, double& value, OptionRange range) override {
        add(text, OptionType::Real, value, range);
    }
    void text(const OptionText& text, std::string& value) override { add(text, OptionType::Text, value); }
    void choice(const OptionText& text, std::string& value, const std::vector<std::string>& choices) override {
        add(text, OptionType::Choice, value);
        specs.back().choices = choices;
    }
    void perLayer(const OptionText& text, std::vector<std::int64_t>& value, OptionRange range) override {
        add(text, OptionType::PerLayer, value, range);
    }

private:
    void add(const OptionText& text, OptionType type, OptionValue value, OptionRange range = {}) {
        OptionSpec spec;
        spec.name = text.name;
        spec.type = type;
        spec.standard = std::move(value);
        spec.minimum = range.minimum;
        spec.maximum = range.maximum;
        spec.unit = text.unit;
        spec.help = text.help;
        specs.push_back(std::move(spec));
    }
};

class ValueCollector : public OptionVisitor {
public:
    OptionValues values;

    void flag(const OptionText& text, bool& value) override { add(text, value); }
    void integer(const OptionText& text, std::int64_t& value, OptionRange) override { add(text, value); }
    void real(const OptionText& text, double& value, OptionRange) override { add(text, value); }
    void text(const OptionText& text, std::string& value) override { add(text, value); }
    void choice(const OptionText& text, std::string& value, const std::vector<std::string>&) override {
        add(text, value);
    }
    void perLayer(const OptionText& text, std::vector<std::int64_t>& value, OptionRange) override { add(text, value); }

private:
    void add(const OptionText& text, OptionValue value) { values.emplace_back(text.name, std::move(value)); }
};

/// Writes values that have been checked, so that std::get cannot fail.
class ValueAssigner : public OptionVisitor {
public:
    explicit ValueAssigner(const OptionValues& values) : m_values(values) {}

    void flag(const OptionText& text, bool& value) override { assign(text, value); }
    void integer(const OptionText& text, std::int64_t& value, OptionRange) override { assign(text, value); }
    void real(const OptionText& text, double& value, OptionRange) override { assign(text, value); }
    void text(const OptionText& text, std::string& value) override { assign(text, value); }
    void choice(const OptionText& text, std::string& value, const std::vector<std::string>&) override {
        assign(text, value);
    }
    void perLayer(const OptionText& text, std::vector<std::int64_t>& value, OptionRange) override {
        assign(text, value);
    }

private:
    template <typename T>
    void assign(const OptionText& text, T& member) {
        if (const OptionValue* value = findValue(m_values, text.name)) member = std::get<T>(*value);
    }
    const OptionValues& m_values;
};

}  // namespace

namespace detail {

std::vector<OptionSpec> collectSpecs(void* options, VisitFunction visit) {
    SpecCollector collector;
    visit(options, collector);
    return std::move(collector.specs);
}

OptionValues collectValues(void* options, VisitFunction visit) {
    ValueCollector collector;
    visit(options, collector);
    return std::move(collector.values);
}

void assignValues(void* options, VisitFunction visit, const OptionValues& values, std::string_view where) {
    const OptionValues checked = checkedValues(collectSpecs(options, visit), values, where);
    ValueAssigner assigner(checked);
    visit(options, assigner);
}

}  // namespace detail

OptionValues checkedValues(const std::vector<OptionSpec>& specs, const OptionValues& values, std::string_view where) {
    for (const auto& [name, value] : values) {
        if (findSpec(specs, name)) continue;
        std::vector<std::string> known;
        for (const OptionSpec& spec : specs) known.push_back(spec.name);
        fail(where, "{}: unknown key; {}", name, suggestion(name, known));
    }
    OptionValues checked;
    for (const OptionSpec& spec : specs) {
        const OptionValue* value = findValue(values, spec.name);
        checked.emplace_back(spec.name, value ? checkedValue(spec, *value, where) : spec.standard);
    }
    return checked;
}

const OptionSpec* findSpec(const std::vector<OptionSpec>& specs, std::string_view name) {
    const auto found = std::find_if(specs.begin(), specs.end(), [&](const auto& spec) { return spec.name == name; });
    return found == specs.end() ? nullptr : &*found;
}

const OptionValue* findValue(const OptionValues& values, std::string_view name) {
    const auto found =
        std::find_if(values.begin(), values.end(), [&](const auto& entry) { return entry.first == name; });
    return found == values.end() ? nullptr : &found->second;
}

void setValue(OptionValues& values, std::string_view name, OptionValue value) {
    const auto found =
        std::find_if(values.begin(), values.end(), [&](const auto& entry) { return entry.first == name; });
    if (found == values.end())
        values.emplace_back(name, std::move(value));
    else
        found->second = std::move(value);
}

}  // namespace linscope
