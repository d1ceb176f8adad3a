#include "core/experiment/experiment.h"

#include <cerrno>
#include <charconv>
#include <fstream>
#include <system_error>

#include "core/attention/mechanism.h"
#include "core/base/error.h"
#include "core/data/task.h"
#include "core/experiment/sections.h"
#include "core/options/suggest.h"

namespace linscope {
namespace {

constexpr std::string_view kWhere = "experiment";
constexpr std::uintmax_t kLargestFile = 1 << 20;  // bytes; a larger one is not an experiment

std::string lanePrefix(std::size_t index) {
    return fmt::format("lane.{}.", index);
}

/// The values that are options of `specs` too and acceptable there: what survives a change of name.
OptionValues kept(const OptionValues& values, const std::vector<OptionSpec>& specs) {
    OptionValues filled;
    for (const OptionSpec& spec : specs) {
        filled.emplace_back(spec.name, spec.standard);
        const OptionValue* value = findValue(values, spec.name);
        if (!value) continue;
        try {
            filled.back().second = checkedValue(spec, *value, kWhere);
        } catch (const Error&) {
            // The same name means something else there; its default stands.
        }
    }
    return filled;
}

/// Throws when the key names a lane that is not there.
void checkLaneIndex(const Experiment& experiment, std::string_view key) {
    if (!key.starts_with("lane.")) return;
    std::string_view rest = key.substr(5);
    rest = rest.substr(0, rest.find('.'));
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), index);
    const bool isNumber = error == std::errc{} && end == rest.data() + rest.size();
    if (isNumber && index < experiment.lanes.size()) return;
    fail(kWhere, "{}: there is no lane \"{}\"; the experiment has {} lane{}, counted from 0", key, rest,
         experiment.lanes.size(), experiment.lanes.size() == 1 ? "" : "s");
}

[[noreturn]] void refuseKey(const Experiment& experiment, std::string_view key) {
    checkLaneIndex(experiment, key);
    for (std::size_t i = 0; i < experiment.lanes.size(); ++i) {
        const std::string prefix = lanePrefix(i) + "attention.";
        if (!key.starts_with(prefix)) continue;
        std::vector<std::string> known{"mechanism"};
        for (const OptionSpec& spec : findMechanism(experiment.lanes[i].mechanism).options) known.push_back(spec.name);
        fail(kWhere, "{}: unknown key, not an option of the mechanism \"{}\"; {}", key, experiment.lanes[i].mechanism,
             suggestion(key.substr(prefix.size()), known));
    }
    std::vector<std::string> known;
    for (const ExperimentField& field : fieldsOf(experiment)) known.push_back(field.key);
    fail(kWhere, "{}: unknown key; {}", key, suggestion(key, known));
}

void apply(Experiment& experiment, const ExperimentField& field, OptionValue value) {
    const auto dot = field.key.rfind('.');
    const std::string last = field.key.substr(dot == std::string::npos ? 0 : dot + 1);
    if (dot == std::string::npos) {
        OptionValues values = valuesOf(headOf(experiment));
        setValue(values, last, std::move(value));
        setHead(experiment, optionsFrom<HeadOptions>(values, kWhere));
        return;
    }
    if (field.key == "task.name") {
        experiment.task.name = std::get<std::string>(value);
        experiment.task.options = kept(experiment.task.options, findTask(experiment.task.name).options);
        return;
    }
    if (field.section == "task") {
        setValue(experiment.task.options, last, std::move(value));
        return;
    }
    for (std::size_t i = 0; i < experiment.lanes.size(); ++i) {
        LaneConfig& lane = experiment.lanes[i];
        const std::string prefix = lanePrefix(i);
        if (!field.key.starts_with(prefix)) continue;
        if (field.key == prefix + "name") {
            lane.name = std::get<std::string>(value);
        } else if (field.key == prefix + "attention.mechanism") {
            lane.mechanism = std::get<std::string>(value);
            lane.options = kept(lane.options, findMechanism(lane.mechanism).options);
        } else {
            setValue(lane.options, last, std::move(value));
        }
        return;
    }
    forEachSection(experiment, [&](std::string_view name, auto& options) {
        if (name != field.section) return;
        OptionValues values = valuesOf(options);
        setValue(values, last, value);
        options = optionsFrom<std::decay_t<decltype(options)>>(values, kWhere);
    });
}

std::int64_t taskInteger(const TaskConfig& task, std::string_view name) {
    const OptionValue* value = findValue(task.options, name);
    const OptionSpec* spec = findSpec(findTask(task.name).options, name);
    require(spec != nullptr, kWhere, "the task \"{}\" has no option \"{}\", which every task needs", task.name, name);
    const OptionValue checked =
        checkedValue(withKey(*spec, fmt::format("task.{}", name)), value ? *value : spec->standard, kWhere);
    return std::get<std::int64_t>(checked);
}

}  // namespace

Experiment Experiment::fromFile(const std::filesystem::path& path) {
    const std::string name = path.string();
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    require(std::filesystem::status_known(status), name, "an experiment file was expected, but it cannot be read: {}",
            error.message());
    require(std::filesystem::exists(status), name, "an experiment file was expected, but there is no such file");
    require(std::filesystem::is_regular_file(status), name,
            "an experiment file was expected, but this is not a regular file");
    const auto size = std::filesystem::file_size(path, error);
    require(!error && size <= kLargestFile, name, "an experiment file of at most {} bytes was expected, but found {}",
            kLargestFile, error ? error.message() : fmt::format("{} bytes", size));
    std::ifstream file(path, std::ios::binary);
    std::string text(size, '\0');
    require(file && file.read(text.data(), static_cast<std::streamsize>(size)), name,
            "an experiment file was expected, but it cannot be read: {}", std::generic_category().message(errno));
    return fromToml(text, name);
}

void Experiment::set(std::string_view dottedKey, std::string_view text) {
    for (const ExperimentField& field : fieldsOf(*this)) {
        if (field.key != dottedKey) continue;
        apply(*this, field, parseValue(withKey(field.spec, field.key), text, kWhere));
        return;
    }
    refuseKey(*this, dottedKey);
}

void Experiment::validate() const {
    checkExperiment(*this, Locations(std::string(kWhere)));
}

std::int64_t Experiment::length() const {
    return taskInteger(task, "length");
}
std::int64_t Experiment::batch() const {
    return taskInteger(task, "batch");
}

AttentionSizes Experiment::attentionSizes() const {
    return {.layers = model.layers,
            .heads = model.heads,
            .headWidth = model.width / model.heads,
            .length = length(),
            .causal = model.causal(),
            .position = positionOf(model.position)};
}

std::vector<ExperimentField> fieldsOf(const Experiment& experiment) {
    std::vector<ExperimentField> fields;
    const auto add = [&](std::string prefix, std::string section, const OptionSpec& spec, const OptionValue* value) {
        fields.push_back({prefix + spec.name, std::move(section), spec, value ? *value : spec.standard});
    };
    const OptionValues head = valuesOf(headOf(experiment));
    for (const OptionSpec& spec : headSpecs()) add("", "experiment", spec, findValue(head, spec.name));

    const OptionValue taskName = experiment.task.name;
    add("task.", "task", taskNameSpec(), &taskName);
    for (const OptionSpec& spec : findTask(experiment.task.name).options)
        add("task.", "task", spec, findValue(experiment.task.options, spec.name));

    Experiment copy = experiment;
    forEachSection(copy, [&](std::string section, auto& options) {
        using Options = std::decay_t<decltype(options)>;
        const OptionValues values = valuesOf(options);
        for (const OptionSpec& spec : specsOf<Options>())
            add(section + ".", section, spec, findValue(values, spec.name));
    });

    for (std::size_t i = 0; i < experiment.lanes.size(); ++i) {
        const LaneConfig& lane = experiment.lanes[i];
        const std::string section = fmt::format("lane.{}", i);
        const OptionValue name = lane.name, mechanism = lane.mechanism;
        add(section + ".", section, laneNameSpec(), &name);
        add(section + ".attention.", section, mechanismSpec(), &mechanism);
        for (const OptionSpec& spec : findMechanism(lane.mechanism).options)
            add(section + ".attention.", section, spec, findValue(lane.options, spec.name));
    }
    return fields;
}

}  // namespace linscope
