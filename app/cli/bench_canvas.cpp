#include "app/cli/bench_canvas.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "app/cli/bench_setup.h"
#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "core/base/error.h"
#include "core/train/trainer.h"

namespace linscope::app {

namespace {

/// What the canvas has to hold while a model trains on the same cores.
constexpr double kFramesWanted = 20;
constexpr double kClickAllowedMs = 100;

/// Trains as the window's worker does: this thread, and those that it starts for its loops, yield to the window.
void trainUntil(const std::atomic<bool>& stop, const Experiment& experiment, std::int64_t& steps) {
    constexpr int kNicerThanTheWindow = 5;
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), getpriority(PRIO_PROCESS, 0) + kNicerThanTheWindow);
    Trainer trainer(experiment);
    trainer.begin();
    for (; !stop && steps < experiment.steps; ++steps) trainer.step();
}

nlohmann::json jsonOf(const CanvasBenchResult& result) {
    return {{"frames", result.frames},
            {"frames_per_second", result.framesPerSecond},
            {"median_frame_ms", result.medianFrameMs},
            {"p95_frame_ms", result.p95FrameMs},
            {"worst_frame_ms", result.worstFrameMs},
            {"click_ms", result.clickMs},
            {"worst_click_ms", result.worstClickMs}};
}

void print(const char* name, const CanvasBenchResult& result) {
    fmt::print(
        "{:15}  {:6.1f} frames/s   frame median {:6.1f} ms, 95 % {:6.1f} ms   click median {:6.1f} ms, worst "
        "{:6.1f} ms\n",
        name, result.framesPerSecond, result.medianFrameMs, result.p95FrameMs, result.clickMs, result.worstClickMs);
}

}  // namespace

int runBenchCanvas(const BenchCanvasArguments& arguments, const MeasureCanvas& measure) {
    require(static_cast<bool>(measure), "bench",
            "a build with the window is needed to time the canvas, but this one was made without it "
            "(LINSCOPE_GUI=OFF)");
    const CanvasBenchResult alone = measure({});
    const ScratchFolder folder;
    const Experiment experiment = benchExperiment({}, folder.path());
    std::int64_t steps = 0;
    const CanvasBenchResult training =
        measure({.load = [&](const std::atomic<bool>& stop) { trainUntil(stop, experiment, steps); }});
    if (arguments.json) {
        printJson({{"bench", "canvas"},
                   {"device", alone.device},
                   {"picture", "four maps of 512 x 512 tokens, panned"},
                   {"alone", jsonOf(alone)},
                   {"while_training", jsonOf(training)},
                   {"training_steps_meanwhile", steps},
                   {"wanted_frames_per_second", kFramesWanted},
                   {"allowed_click_ms", kClickAllowedMs}});
        return 0;
    }
    fmt::print("four maps of 512 × 512 tokens panned on {}; times end when the device has finished the frame\n",
               alone.device);
    print("alone", alone);
    print("while training", training);
    fmt::print("{} training steps were made meanwhile; wanted: {} frames/s or more, a click within {} ms\n", steps,
               kFramesWanted, kClickAllowedMs);
    return 0;
}

}  // namespace linscope::app
