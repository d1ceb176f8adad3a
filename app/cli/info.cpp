#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "app/cli/lane_states.h"
#include "core/base/amount_text.h"
#include "core/io/run_file.h"

namespace linscope::app {
namespace {

enum class Better { Lower, Higher, Neither };

Better betterOf(std::string_view metric) {
    const auto has = [metric](std::string_view part) { return metric.find(part) != std::string_view::npos; };
    if (has("accuracy") || has("per_second")) return Better::Higher;
    if (has("loss") || has("bits") || has("memory") || has("millisecond") || has("time")) return Better::Lower;
    return Better::Neither;
}

/// The last value that is a number, and the best one where there is a better.
struct Extremes {
    std::optional<std::size_t> last, best;
};

Extremes extremesOf(const Series& series) {
    const Better better = betterOf(series.name);
    Extremes found;
    for (std::size_t i = 0; i < series.values.size(); ++i) {
        const double value = series.values[i];
        if (!std::isfinite(value)) continue;
        found.last = i;
        if (better == Better::Neither) continue;
        const double best = found.best ? series.values[*found.best] : value;
        if (!found.best || (better == Better::Lower ? value < best : value > best)) found.best = i;
    }
    return found;
}

Json metricsJson(const LaneRecord& lane) {
    Json metrics = Json::object();
    for (const Series& series : lane.metrics) {
        const Extremes found = extremesOf(series);
        Json metric = Json::object();
        metric["step"] = found.last ? Json(series.steps[*found.last]) : Json(nullptr);
        metric["last"] = found.last ? jsonNumber(series.values[*found.last]) : Json(nullptr);
        metric["best"] = found.best ? jsonNumber(series.values[*found.best]) : Json(nullptr);
        metric["best_step"] = found.best ? Json(series.steps[*found.best]) : Json(nullptr);
        metric["unit"] = series.unit;
        metrics[series.name] = std::move(metric);
    }
    return metrics;
}

Json projectionsJson(const LaneRecord& lane) {
    Json projections = Json::array();
    for (const ProjectionSeries& series : lane.projections) {
        Json measures = Json::object();
        for (const auto& [name, values] : series.measures)
            if (!values.empty()) measures[name] = jsonNumber(values.back());
        projections.push_back({{"name", series.label},
                               {"slots", series.slots},
                               {"length", series.length},
                               {"step", series.steps.empty() ? Json(nullptr) : Json(series.steps.back())},
                               {"measures", std::move(measures)}});
    }
    return projections;
}

Json runJson(const RunFileReader& run, const std::string& path) {
    Json lanes = Json::array();
    for (const LaneRecord& lane : run.lanes())
        lanes.push_back({{"name", lane.name},
                         {"mechanism", lane.mechanism},
                         {"state", stateText(run, lane)},
                         {"message", lane.message},
                         {"parameters", lane.parameters},
                         {"metrics", metricsJson(lane)},
                         {"device_check_errors", lane.checkErrors},
                         {"projections", projectionsJson(lane)},
                         {"snapshots", lane.snapshotSteps}});
    Json baselines = Json::array();
    for (const TaskBaseline& baseline : run.baselines())
        baselines.push_back(
            {{"metric", baseline.metric}, {"name", baseline.name}, {"value", jsonNumber(baseline.value)}});
    return {{"file", path},
            {"schema", run.schema()},
            {"title", run.experiment().title},
            {"state", nameOf(run.state())},
            {"health", nameOf(run.health())},
            {"bytes", run.fileBytes()},
            {"step", run.lastStep()},
            {"steps", run.experiment().steps},
            {"precision", run.experiment().model.precision},
            {"baselines", std::move(baselines)},
            {"lanes", std::move(lanes)}};
}

/// "<1e-9", "1e-9", … "≥1": the bins of DeviceCheckEvent.
std::string errorText(std::size_t bin) {
    if (bin == 0) return "<1e-9";
    return bin + 1 == DeviceCheckEvent::kBins ? "≥1" : fmt::format("1e-{}", DeviceCheckEvent::kBins - 1 - bin);
}

/// Of the gradients' entries in all checked steps.
double shareOf(const LaneRecord& lane, std::size_t bin) {
    double in = 0, all = 0;
    for (const auto& errors : lane.checkErrors) {
        in += static_cast<double>(errors[bin]);
        for (const std::int64_t count : errors) all += static_cast<double>(count);
    }
    return in / all;
}

void printLane(const RunFileReader& run, std::size_t index) {
    const LaneRecord& lane = run.lanes()[index];
    const bool stopped = lane.state != LaneState::Running;
    fmt::print("\n{}  ({}, {} parameters, {})\n", lineOf(lane.name), lane.mechanism, lane.parameters,
               stopped ? stopText(run, static_cast<int>(index), lane.state, lane.message) : stateText(run, lane));
    if (stopped) fmt::print("  all below is from before that\n");
    fmt::print("  {:<28}{:>8}{:>14}{:>14}  {}\n", "metric", "step", "last", "best", "unit");
    for (const Series& series : lane.metrics) {
        const Extremes found = extremesOf(series);
        if (!found.last) continue;
        fmt::print("  {:<28}{:>8}{:>14.6g}{:>14}  {}\n", series.name, series.steps[*found.last],
                   series.values[*found.last],
                   found.best ? fmt::format("{:.6g}", series.values[*found.best]) : std::string("-"), series.unit);
    }
    if (!lane.checkErrors.empty()) {
        fmt::print("  errors of gradients in {} steps checked on the processor, share of entries:\n ",
                   lane.checkErrors.size());
        for (std::size_t bin = 0; bin < DeviceCheckEvent::kBins; ++bin)
            fmt::print("  {} {:.2g}", errorText(bin), shareOf(lane, bin));
        fmt::print("\n");
    }
    for (const ProjectionSeries& series : lane.projections) {
        if (series.steps.empty()) continue;
        fmt::print("  {} [{}, {}] at step {}:", series.label, series.slots, series.length, series.steps.back());
        for (const auto& [name, values] : series.measures)
            if (!values.empty()) fmt::print("  {} {:.4g}", name, values.back());
        fmt::print("\n");
    }
}

}  // namespace

int runInfo(const InfoArguments& arguments) {
    const RunFileReader run(arguments.runFile);
    if (arguments.json) {
        printJson(runJson(run, arguments.runFile));
        return 0;
    }
    fmt::print("{}\n", lineOf(run.experiment().title));
    fmt::print("{}: {}, schema {}, {}; {} at step {} of {}\n", lineOf(arguments.runFile), sizeText(run.fileBytes()),
               run.schema(), nameOf(run.health()), nameOf(run.state()), run.lastStep(), run.experiment().steps);
    if (const std::string& precision = run.experiment().model.precision; precision != "fp32")
        fmt::print("factors of matrix products in {}{}\n", precision,
                   precision == "bf16" ? " (on the processor no faster than fp32)" : "");
    for (const TaskBaseline& baseline : run.baselines())
        fmt::print("baseline {}: {} {:.4f}\n", baseline.metric, baseline.name, baseline.value);
    for (std::size_t lane = 0; lane < run.lanes().size(); ++lane) printLane(run, lane);
    return 0;
}

}  // namespace linscope::app
