#include "app/session/run_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "core/base/error.h"
#include "core/io/run_schema.h"

namespace linscope::app {

namespace {

/// Adds a row to the series of these columns, which a run file has under the same names and units.
template <std::size_t Count>
void append(LaneRecord& lane, std::int64_t step, const std::string& prefix,
            const std::array<schema::Column, Count>& columns, const std::array<double, Count>& values) {
    for (std::size_t i = 0; i < Count; ++i) {
        const std::string name = prefix + columns[i].name;
        auto found = std::ranges::find(lane.metrics, name, &Series::name);
        if (found == lane.metrics.end())
            found = lane.metrics.insert(
                found,
                {.name = name, .unit = columns[i].unit, .longName = columns[i].longName, .steps = {}, .values = {}});
        found->steps.push_back(step);
        found->values.push_back(values[i]);
    }
}

void append(LaneRecord& lane, std::int64_t step, const ProjectionProbe& probe) {
    auto found = std::find_if(lane.projections.begin(), lane.projections.end(),
                              [&](const ProjectionSeries& series) { return series.label == probe.label; });
    if (found == lane.projections.end()) {
        lane.projections.emplace_back();
        found = std::prev(lane.projections.end());
        found->label = probe.label;
        found->layer = probe.layer;
        found->head = probe.head;
        found->slots = probe.slots;
        found->length = probe.length;
    }
    const ProjectionHealth& health = probe.health;
    found->steps.push_back(step);
    found->spectrum.push_back(health.spectrum);
    found->angles.push_back(health.principalAngles);
    const auto values = schema::healthValues(health);
    for (std::size_t i = 0; i < values.size(); ++i) found->measures[schema::kHealth[i].name].push_back(values[i]);
}

std::string commandText(const CommandEvent& event) {
    std::string text = event.name;
    std::replace(text.begin(), text.end(), '_', ' ');
    if (!event.oldValue.empty() && !event.newValue.empty())
        text += fmt::format(": {} → {}", event.oldValue, event.newValue);
    else if (!event.newValue.empty())
        text += ": " + event.newValue;
    return text;
}

/// What charts say of a command that changes how lanes learn; empty for any other, or where all stays as it was.
std::string markText(const CommandEvent& event) {
    if (event.oldValue == event.newValue) return {};
    if (event.name == "freeze") return "projections frozen";
    if (event.name == "unfreeze") return "projections trained again";
    if (event.name != "set_learning_rate") return {};
    return event.oldValue.empty() ? fmt::format("learning rate {}", event.newValue)
                                  : fmt::format("learning rate {} → {}", event.oldValue, event.newValue);
}

/// Of the metrics that menus offer, in their order.
constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kTitles{{
    {"loss", "Loss"},
    {"validation_bits_per_byte", "Validation"},
    {"validation_loss", "Validation loss"},
    {"accuracy", "Accuracy"},
    {"validation_accuracy", "Validation accuracy"},
    {"tokens_per_second", "Speed"},
    {"gradient_norm", "Gradient norm"},
    {"learning_rate", "Learning rate"},
    {"step_milliseconds", "Step time"},
    {"memory_bytes", "Memory"},
}};

std::string_view unitOf(std::string_view metric) {
    for (const schema::Column& column : schema::kMetrics)
        if (metric == column.name) return column.unit;
    for (const schema::Column& column : schema::kValidation)
        if (metric == std::string(schema::kValidationPrefix) + column.name) return column.unit;
    fail("metrics", "a metric of run files was expected, but there is no \"{}\"", metric);
}

/// A unit of run files as people write it.
std::string_view unitText(std::string_view unit) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kWords{{
        {"1", ""},
        {"nat", "nats"},
        {"bit/B", "bits/byte"},
        {"B", "bytes"},
        {"1/s", "tokens/s"},
    }};
    const auto found = std::ranges::find(kWords, unit, [](const auto& word) { return word.first; });
    return found == kWords.end() ? unit : found->second;
}

struct Applier {
    RunRecord& record;

    LaneRecord* lane(int index) const {
        return index >= 0 && index < static_cast<int>(record.lanes.size()) ? &record.lanes[index] : nullptr;
    }
    void operator()(const StepEvent& event) const {
        record.lastStep = std::max(record.lastStep, event.step);
        record.wallSeconds = event.wallSeconds;
        for (std::size_t i = 0; i < event.lanes.size() && i < record.lanes.size(); ++i) {
            const LaneStep& step = event.lanes[i];
            if (!step.stepped) continue;
            LaneRecord& target = record.lanes[i];
            append(target, event.step, "", schema::kMetrics, schema::stepValues(step, event.wallSeconds));
            record.learningRates[i] = step.learningRate;
        }
    }
    void operator()(const ValidationEvent& event) const {
        if (LaneRecord* target = lane(event.lane))
            append(*target, event.step, schema::kValidationPrefix, schema::kValidation,
                   schema::validationValues(event));
    }
    void operator()(const ProbeEvent& event) const {
        if (LaneRecord* target = lane(event.lane))
            for (const ProjectionProbe& probe : event.projections) append(*target, event.step, probe);
    }
    void operator()(const SnapshotEvent& event) const {
        if (!event.store || !event.snapshot) return;
        if (LaneRecord* target = lane(event.snapshot->lane)) target->snapshotSteps.push_back(event.snapshot->step);
    }
    void operator()(const DeviceCheckEvent&) const {}  // read from the run file
    void operator()(const CommandEvent& event) const {
        const bool freezes = event.name == "freeze" || event.name == "unfreeze";
        const bool setsRate = event.name == "set_learning_rate";
        const std::string mark = markText(event);
        record.log.push_back(
            {event.step, event.lane, mark.empty() ? LogKind::Command : LogKind::Change, commandText(event), mark});
        for (std::size_t i = 0; i < record.lanes.size(); ++i) {
            if (event.lane >= 0 && event.lane != static_cast<int>(i)) continue;
            if (freezes) record.frozen[i] = event.name == "freeze";
            if (setsRate)
                std::from_chars(event.newValue.data(), event.newValue.data() + event.newValue.size(),
                                record.peakRates[i]);
        }
    }
    void operator()(const LaneStateEvent& event) const {
        if (LaneRecord* target = lane(event.lane)) {
            target->state = event.state;
            target->message = event.message;
        }
        std::string text(nameOf(event.state));
        if (!event.message.empty()) text += ": " + event.message;
        record.log.push_back({event.step, event.lane, LogKind::Lane, text});
    }
    void operator()(const CheckpointEvent& event) const {
        record.log.push_back({event.step, -1, LogKind::Checkpoint, "saved " + event.path});
    }
    void operator()(const RunStateEvent& event) const {
        record.lastStep = std::max(record.lastStep, event.step);
        record.state = event.state;
        record.stateMessage = event.message;
        std::string text(nameOf(event.state));
        if (!event.message.empty()) text += ": " + event.message;
        record.log.push_back({event.step, -1, LogKind::State, text});
    }
};

}  // namespace

const std::vector<MetricInfo>& knownMetrics() {
    static const std::vector<MetricInfo> metrics = [] {
        std::vector<MetricInfo> all;
        for (const auto& [name, title] : kTitles) all.push_back({name, title, unitText(unitOf(name))});
        return all;
    }();
    return metrics;
}

std::string metricTitle(std::string_view name) {
    for (const MetricInfo& info : knownMetrics())
        if (info.name == name)
            return info.unit.empty() ? std::string(info.title) : fmt::format("{} ({})", info.title, info.unit);
    return std::string(name);
}

void RunRecord::forLanes() {
    learningRates.assign(lanes.size(), 0.0);
    peakRates.assign(lanes.size(), experiment.optimizer.learningRate);
    freezable.assign(lanes.size(), false);
    frozen.assign(lanes.size(), false);
}

RunRecord RunRecord::fromExperiment(const Experiment& experiment) {
    RunRecord record;
    record.experiment = experiment;
    for (const LaneConfig& config : experiment.lanes) {
        LaneRecord lane;
        lane.name = config.name;
        lane.mechanism = config.mechanism;
        record.lanes.push_back(std::move(lane));
    }
    record.forLanes();
    return record;
}

RunRecord RunRecord::fromReader(const RunFileReader& reader) {
    RunRecord record = fromExperiment(reader.experiment());
    record.lanes = reader.lanes();
    record.baselines = reader.baselines();
    record.forLanes();
    const Applier applier{record};
    for (const Event& event : reader.log()) std::visit(applier, event);
    record.lastStep = reader.lastStep();
    record.state = reader.state();
    record.health = reader.health();
    // In a file all metrics share one axis of steps; a value that was not measured at a step is NaN there.
    for (LaneRecord& lane : record.lanes)
        for (Series& series : lane.metrics) {
            std::size_t kept = 0;
            for (std::size_t i = 0; i < series.steps.size() && i < series.values.size(); ++i)
                if (!std::isnan(series.values[i])) {
                    series.steps[kept] = series.steps[i];
                    series.values[kept++] = series.values[i];
                }
            series.steps.resize(kept);
            series.values.resize(kept);
        }
    for (std::size_t i = 0; i < record.lanes.size(); ++i)
        if (const Series* rate = findSeries(record.lanes[i], "learning_rate"); rate && !rate->values.empty())
            record.learningRates[i] = rate->values.back();
    record.log.push_back({record.lastStep, -1, LogKind::Note, fmt::format("the file is {}", nameOf(record.health))});
    return record;
}

void RunRecord::apply(const Event& event) {
    std::visit(Applier{*this}, event);
}

void RunRecord::note(LogKind kind, std::string text, int lane) {
    log.push_back({lastStep, lane, kind, std::move(text)});
}

void RunRecord::rewind(std::int64_t step) {
    const auto kept = [step](const std::vector<std::int64_t>& steps) {
        return static_cast<std::size_t>(std::upper_bound(steps.begin(), steps.end(), step) - steps.begin());
    };
    const auto cut = [](auto& values, std::size_t count) { values.resize(std::min(values.size(), count)); };
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        LaneRecord& lane = lanes[i];
        for (Series& series : lane.metrics) {
            const std::size_t count = kept(series.steps);
            cut(series.steps, count);
            cut(series.values, count);
        }
        for (ProjectionSeries& series : lane.projections) {
            const std::size_t count = kept(series.steps);
            cut(series.steps, count);
            cut(series.spectrum, count);
            cut(series.angles, count);
            for (auto& [name, values] : series.measures) cut(values, count);
        }
        cut(lane.snapshotSteps, kept(lane.snapshotSteps));
        const Series* rate = findSeries(lane, "learning_rate");
        learningRates[i] = rate && !rate->values.empty() ? rate->values.back() : 0;
    }
    const auto ofSteps = [](LogKind kind) {
        return kind == LogKind::Change || kind == LogKind::Lane || kind == LogKind::Checkpoint;
    };
    std::erase_if(log, [&](const LogEntry& entry) { return ofSteps(entry.kind) && entry.step > step; });
    lastStep = std::min(lastStep, step);
}

std::vector<std::int64_t> RunRecord::snapshotSteps() const {
    std::vector<std::int64_t> steps;
    for (const LaneRecord& lane : lanes)
        steps.insert(steps.end(), lane.snapshotSteps.begin(), lane.snapshotSteps.end());
    std::sort(steps.begin(), steps.end());
    steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
    return steps;
}

const Series* findSeries(const LaneRecord& lane, std::string_view metric) {
    for (const Series& series : lane.metrics)
        if (series.name == metric) return &series;
    return nullptr;
}

}  // namespace linscope::app
