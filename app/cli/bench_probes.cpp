#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <numeric>
#include <utility>
#include <vector>

#include "app/cli/bench_setup.h"
#include "app/cli/bench_timing.h"
#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "app/cli/progress.h"
#include "core/io/lane_layouts.h"
#include "core/train/trainer.h"

namespace linscope::app {
namespace {

/// Watching may cost at most this share of the time that training takes.
constexpr double kAllowedShare = 0.05;
constexpr int kWarmUpSteps = 3;

using Clock = std::chrono::steady_clock;

double millisecondsSince(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// Time that goes into watching: what the run file takes of every event, and all that a step does after its own work
/// and its validation, which are probes and snapshots. Measured as it is spent, and not as the difference of two
/// trainings, which is small beside what the machine's other work does to both of them.
class Watching : public EventSink {
public:
    explicit Watching(EventSink& file) : m_file(file) {}
    void onEvent(const Event& event) override {
        const auto start = Clock::now();
        m_file.onEvent(event);
        const bool training =
            std::holds_alternative<StepEvent>(event) || std::holds_alternative<ValidationEvent>(event);
        // What came before such an event is training; what comes after one may be watching.
        if (training) m_milliseconds += millisecondsSince(start);
        if (training) m_since = Clock::now();
    }
    void flush() override { m_file.flush(); }
    /// Of the step that has just been made.
    double take() { return std::exchange(m_milliseconds, 0) + millisecondsSince(m_since); }

private:
    EventSink& m_file;
    double m_milliseconds = 0;
    Clock::time_point m_since = Clock::now();
};

/// Steps until probes and snapshots have come as often as in a long run.
std::int64_t periodOf(const ProbeOptions& probes) {
    return std::lcm(probes.every, probes.snapshotEvery);
}

}  // namespace

int runBenchProbes(const BenchProbesArguments& arguments) {
    const ScratchFolder folder;
    Experiment experiment = benchExperiment({.length = arguments.length}, folder.path());
    const std::int64_t period = periodOf(experiment.probes);
    const std::int64_t steps = (arguments.steps + period - 1) / period * period;
    experiment.steps = kWarmUpSteps + steps + 1;  // the last step of a run has probes of its own
    experiment.checkpoint.every = 0;

    Trainer trainer(experiment);
    RunFileWriter writer(folder.path() / "run.h5", experiment, trainer.task(), laneLayouts(trainer));
    Watching watching(writer);
    trainer.addListener(watching);
    trainer.begin();

    std::vector<double> allTimes, bareTimes;
    double all = 0, bare = 0;
    ProgressLine progress;
    for (std::int64_t step = 1; step <= kWarmUpSteps + steps; ++step) {
        progress.update(fmt::format("step {}/{}", step, kWarmUpSteps + steps));
        const auto start = Clock::now();
        trainer.step();
        const double whole = millisecondsSince(start), own = whole - watching.take();
        if (step <= kWarmUpSteps) continue;
        allTimes.push_back(whole);
        bareTimes.push_back(own);
        all += whole;
        bare += own;
    }
    progress.finish();

    const double share = (all - bare) / all;
    const auto count = static_cast<double>(steps);
    if (arguments.json) {
        printJson({{"bench", "probes"},
                   {"steps", steps},
                   {"probes_every", experiment.probes.every},
                   {"snapshot_every", experiment.probes.snapshotEvery},
                   {"with_ms", all / count},
                   {"without_ms", bare / count},
                   {"with_median_ms", median(allTimes)},
                   {"without_median_ms", median(bareTimes)},
                   {"share", share},
                   {"allowed_share", kAllowedShare}});
        return 0;
    }
    fmt::print("{} steps of both lanes; probes every {}, stored snapshot every {} steps\n", steps,
               experiment.probes.every, experiment.probes.snapshotEvery);
    if (steps != arguments.steps)
        fmt::print("({} were asked for: {} and its multiples have probes and snapshots as often as a long run)\n",
                   arguments.steps, period);
    fmt::print("with probes and run file     {:8.2f} ms a step (median {:.2f})\n", all / count, median(allTimes));
    fmt::print("without                      {:8.2f} ms a step (median {:.2f})\n", bare / count, median(bareTimes));
    fmt::print("share of the step            {:8.2f} % (bound {:.0f} %)\n", 100 * share, 100 * kAllowedShare);
    return 0;
}

}  // namespace linscope::app
