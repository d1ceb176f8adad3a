#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <vector>

#include "app/cli/bench_setup.h"
#include "app/cli/bench_timing.h"
#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "app/cli/progress.h"
#include "app/cli/run_plan.h"
#include "core/io/run_file.h"
#include "core/train/trainer.h"

namespace linscope::app {
namespace {

/// Watching may cost at most this share of the time that training takes.
constexpr double kAllowedShare = 0.05;
constexpr int kWarmUpSteps = 3;

double timedStep(Trainer& trainer) {
    const auto start = std::chrono::steady_clock::now();
    trainer.step();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int runBenchProbes(const BenchProbesArguments& arguments) {
    const ScratchFolder folder;
    Experiment watched = benchExperiment({.length = arguments.length}, folder.path());
    watched.steps = kWarmUpSteps + arguments.steps;
    Experiment bare = watched;
    // Validation belongs to training and stays in both.
    bare.probes.every = bare.probes.snapshotEvery = watched.steps + 1;
    bare.checkpoint.every = watched.checkpoint.every = 0;

    Trainer bareTrainer(bare);
    Trainer watchedTrainer(watched);
    RunFileWriter writer(folder.path() / "run.h5", watched, watchedTrainer.task(), laneLayouts(watchedTrainer));
    watchedTrainer.addListener(writer);
    bareTrainer.begin();
    watchedTrainer.begin();

    // Step by step in turn, so that whatever else the machine does falls on both alike.
    std::vector<double> bareTimes, watchedTimes;
    double bareSum = 0, watchedSum = 0;
    ProgressLine progress;
    for (std::int64_t step = 1; step <= watched.steps; ++step) {
        progress.update(fmt::format("step {}/{}", step, watched.steps));
        const double without = timedStep(bareTrainer);
        const double with = timedStep(watchedTrainer);
        if (step <= kWarmUpSteps) continue;
        bareTimes.push_back(without);
        watchedTimes.push_back(with);
        bareSum += without;
        watchedSum += with;
    }
    progress.finish();

    const double share = (watchedSum - bareSum) / watchedSum;
    const auto steps = static_cast<double>(arguments.steps);
    if (arguments.json) {
        printJson({{"bench", "probes"},
                   {"steps", arguments.steps},
                   {"probes_every", watched.probes.every},
                   {"snapshot_every", watched.probes.snapshotEvery},
                   {"with_ms", watchedSum / steps},
                   {"without_ms", bareSum / steps},
                   {"with_median_ms", median(watchedTimes)},
                   {"without_median_ms", median(bareTimes)},
                   {"share", share},
                   {"allowed_share", kAllowedShare}});
        return 0;
    }
    fmt::print("{} steps each, both lanes; probes every {}, stored snapshot every {} steps\n", arguments.steps,
               watched.probes.every, watched.probes.snapshotEvery);
    fmt::print("with probes and run file     {:8.2f} ms a step (median {:.2f})\n", watchedSum / steps,
               median(watchedTimes));
    fmt::print("without                      {:8.2f} ms a step (median {:.2f})\n", bareSum / steps, median(bareTimes));
    fmt::print("share of the step            {:8.2f} % (bound {:.0f} %)\n", 100 * share, 100 * kAllowedShare);
    return 0;
}

}  // namespace linscope::app
