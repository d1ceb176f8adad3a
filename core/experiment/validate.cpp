#include <set>

#include "core/attention/mechanism.h"
#include "core/base/error.h"
#include "core/data/task.h"
#include "core/experiment/sections.h"
#include "core/options/suggest.h"

namespace linscope {
namespace {

constexpr std::size_t kMostLanes = 6;
constexpr std::size_t kLongestName = 200;  // bytes

/// The message of an error without its `[where] `, to be told again with a better one.
std::string_view withoutWhere(std::string_view text) {
    const auto end = text.find("] ");
    return text.starts_with('[') && end != std::string_view::npos ? text.substr(end + 2) : text;
}

void checkNames(const OptionValues& values, const std::vector<OptionSpec>& specs, const std::string& prefix,
                const Locations& locations) {
    std::vector<std::string> known;
    for (const OptionSpec& spec : specs) known.push_back(spec.name);
    for (const auto& [name, value] : values)
        require(findSpec(specs, name), locations.of(prefix + name), "{}{}: unknown key; {}", prefix, name,
                suggestion(name, known));
}

void checkLane(const Experiment& experiment, std::size_t index, const Locations& locations) {
    const LaneConfig& lane = experiment.lanes[index];
    const std::string attention = fmt::format("lane.{}.attention", index);
    const MechanismInfo& mechanism = findMechanism(lane.mechanism);
    const ModelOptions& model = experiment.model;
    const OptionValues options = checkedValues(mechanism.options, lane.options, locations.of(attention));
    for (const OptionSpec& spec : mechanism.options) {
        if (spec.type != OptionType::PerLayer) continue;
        const std::string key = attention + "." + spec.name;
        const auto entries = std::get<std::vector<std::int64_t>>(*findValue(options, spec.name)).size();
        require(entries == 1 || entries == static_cast<std::size_t>(model.layers), locations.of(key),
                "{}: expected one integer or one for each of the {} layers, but found {} of them", key, model.layers,
                entries);
    }
    try {
        checkAttention(mechanism, options, experiment.attentionSizes());
    } catch (const Error& error) {
        fail(locations.of(attention), "{}: {}", attention, withoutWhere(error.what()));
    }
}

void checkLaneNames(const Experiment& experiment, const Locations& locations) {
    const std::size_t count = experiment.lanes.size();
    require(count >= 1 && count <= kMostLanes, locations.of("lane"),
            "lane: expected 1 to {} sections [[lane]], but found {}", kMostLanes, count);
    std::set<std::string> names;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string key = fmt::format("lane.{}.name", i);
        const std::string& name = experiment.lanes[i].name;
        require(name.find_first_not_of(" \t\n") != std::string::npos, locations.of(key),
                "{}: expected a name, but it is missing or empty", key);
        require(
            name.size() <= kLongestName, locations.of(key),
            "{}: expected a name of at most {} bytes, since it stands in lists and beside curves, but found {} bytes",
            key, kLongestName, name.size());
        require(names.insert(name).second, locations.of(key),
                "{}: expected a name that no other lane has, but found {} again", key, toTomlText(name));
    }
}

}  // namespace

void checkExperiment(const Experiment& experiment, const Locations& locations) {
    // The names first: everything else is described by what they stand for.
    checkedValue(withKey(taskNameSpec(), "task.name"), experiment.task.name, locations.of("task.name"));
    checkLaneNames(experiment, locations);
    checkNames(experiment.task.options, findTask(experiment.task.name).options, "task.", locations);
    for (std::size_t i = 0; i < experiment.lanes.size(); ++i) {
        const LaneConfig& lane = experiment.lanes[i];
        const std::string attention = fmt::format("lane.{}.attention.", i);
        checkedValue(withKey(mechanismSpec(), attention + "mechanism"), lane.mechanism,
                     locations.of(attention + "mechanism"));
        checkNames(lane.options, findMechanism(lane.mechanism).options, attention, locations);
    }
    for (const ExperimentField& field : fieldsOf(experiment))
        checkedValue(withKey(field.spec, field.key), field.value, locations.of(field.key));

    const ModelOptions& model = experiment.model;
    require(model.width % model.heads == 0, locations.of("model.heads"),
            "model.heads: expected a number that divides model.width = {}, but found {}", model.width, model.heads);
    require(experiment.probes.samples <= experiment.batch(), locations.of("probes.samples"),
            "probes.samples: expected at most task.batch = {} sequences, but found {}", experiment.batch(),
            experiment.probes.samples);
    const TaskInfo& task = findTask(experiment.task.name);
    require(!task.needsCausal || model.causal(), locations.of("model.kind"),
            "model.kind: expected \"decoder\", since an encoder would see what {} asks for, but found \"{}\"",
            task.name, model.kind);
    require(!task.pooled || !model.causal() || model.pool == "mean", locations.of("model.pool"),
            "model.pool: expected \"mean\", since a decoder's first token sees itself alone, but found \"{}\"",
            model.pool);
    const std::int64_t taps = model.shortConvolution;
    require(taps != 1, locations.of("model.short_convolution"),
            "model.short_convolution: expected 0 or at least 2 taps, since one reaches no other token, but found 1");
    require(model.causal() || taps == 0 || taps % 2 == 1, locations.of("model.short_convolution"),
            "model.short_convolution: expected an odd number, since an encoder's convolution is centred, but found {}",
            taps);
    for (std::size_t i = 0; i < experiment.lanes.size(); ++i) checkLane(experiment, i, locations);
}

}  // namespace linscope
