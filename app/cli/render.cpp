#include "app/cli/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "app/cli/commands.h"
#include "app/cli/lane_states.h"
#include "app/cli/standard_streams.h"
#include "core/analysis/maps.h"
#include "core/base/error.h"
#include "core/io/run_file.h"

namespace linscope::app {
namespace {

std::int64_t newestStep(const LaneRecord& lane) {
    require(!lane.snapshotSteps.empty(), "render",
            "a stored snapshot is needed, but lane \"{}\" has none; probes.snapshot_every says how often they are made",
            lane.name);
    return lane.snapshotSteps.back();
}

Snapshot readSnapshot(const RunFileReader& run, std::int64_t lane, const std::optional<std::int64_t>& step) {
    const auto index = static_cast<std::size_t>(lane);
    return run.snapshot(static_cast<int>(lane), step ? *step : newestStep(run.lanes()[index]));
}

/// The asked lane, or the first whose mechanism has what the view shows, or all of those.
std::vector<Snapshot> chooseSnapshots(const RunFileReader& run, const RenderArguments& arguments) {
    const auto lanes = static_cast<std::int64_t>(run.lanes().size());
    if (arguments.lane) {
        require(*arguments.lane < lanes, "render", "--lane must be 0 to {}, but {} was given", lanes - 1,
                *arguments.lane);
        return {readSnapshot(run, *arguments.lane, arguments.step)};
    }
    std::vector<Snapshot> chosen;
    for (std::int64_t lane = 0; lane < lanes && (arguments.allLanes || chosen.empty()); ++lane) {
        Snapshot snapshot = readSnapshot(run, lane, arguments.step);
        if (canShow(arguments.view, snapshot))
            chosen.push_back(std::move(snapshot));
        else if (arguments.allLanes)
            say("lane \"{}\" has no view \"{}\"\n", run.lanes()[static_cast<std::size_t>(lane)].name, arguments.view);
    }
    require(!chosen.empty(), "render",
            "view \"{}\" needs a lane whose mechanism has such a map, but none of the {} lanes has one", arguments.view,
            lanes);
    return chosen;
}

void requireIndex(const char* option, std::int64_t index, std::int64_t count) {
    require(index < count, "render", "{} must be 0 to {}, but {} was given", option, count - 1, index);
}

/// What the canvas says of a head, on a line behind `name`; what it does not have is left out. Of views that compare.
void printFidelity(const RenderArguments& arguments, const Snapshot& snapshot, const std::string& name) {
    const bool compares = arguments.view == mapName(MapKind::Lifted) ||
                          arguments.view == mapName(MapKind::Difference) || arguments.view == "own";
    if (!compares || !hasMap(snapshot, MapKind::Lifted)) return;
    const HeadFidelity fidelity = headFidelity(snapshot, static_cast<int>(arguments.layer),
                                               static_cast<int>(arguments.head), static_cast<int>(arguments.sample));
    std::string line;
    const auto add = [&line](const char* what, double value, const char* unit = "") {
        if (!std::isnan(value)) line += fmt::format("{}{} {:.3g}{}", line.empty() ? "" : ", ", what, value, unit);
    };
    add("output error", fidelity.outputError);
    add("map error", fidelity.mapError);
    add("negative mass", fidelity.negativeMass);
    add("row-sum error", fidelity.rowSumError);
    add("best rank-K map", fidelity.rankBound);
    if (!std::isnan(fidelity.jsDivergence)) add("KL", fidelity.klDivergence, " bits");
    add("JS", fidelity.jsDivergence, " bits");
    add("top-16 recall", fidelity.topKeyRecall);
    if (!line.empty()) fmt::print("{}{}{}\n", name, name.empty() ? "" : ": ", line);
}

}  // namespace

int runRender(const RenderArguments& arguments) {
    requireViews();
    const std::vector<std::string> names = viewNames();
    require(std::find(names.begin(), names.end(), arguments.view) != names.end(), "render",
            "--view must be one of {}, but \"{}\" was given", fmt::join(names, ", "), arguments.view);
    const RunFileReader run(arguments.runFile);
    const std::string file = std::filesystem::path(arguments.runFile).filename().string();
    std::vector<DrawnSnapshot> drawn;
    for (Snapshot& snapshot : chooseSnapshots(run, arguments)) {
        requireIndex("--layer", arguments.layer, static_cast<std::int64_t>(snapshot.layers.size()));
        requireIndex("--head", arguments.head, snapshot.heads);
        requireIndex("--sample", arguments.sample, snapshot.samples);
        const LaneRecord& lane = run.lanes()[static_cast<std::size_t>(snapshot.lane)];
        if (lane.state != LaneState::Running)
            say("lane \"{}\" {}; this is its step {}\n", lane.name,
                stopText(run, snapshot.lane, lane.state, lane.message), snapshot.step);
        std::string caption = fmt::format("{}, lane \"{}\", step {}", file, lane.name, snapshot.step);
        drawn.push_back({std::move(snapshot), std::move(caption)});
    }
    drawView({.view = arguments.view,
              .layer = static_cast<int>(arguments.layer),
              .head = static_cast<int>(arguments.head),
              .sample = static_cast<int>(arguments.sample),
              .range = arguments.range,
              .device = arguments.device,
              .out = arguments.out},
             drawn);
    fmt::print("{}\n", arguments.out);
    for (const auto& [snapshot, caption] : drawn) printFidelity(arguments, snapshot, drawn.size() > 1 ? caption : "");
    return 0;
}

}  // namespace linscope::app
