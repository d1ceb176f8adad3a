#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "app/cli/run_plan.h"
#include "core/base/error.h"
#include "core/data/task.h"
#include "core/io/run_file.h"
#include "core/train/checkpoint_state.h"
#include "core/train/trainer.h"

namespace linscope::app {
namespace {

namespace fs = std::filesystem;

/// Keeps what a validation says of each lane, or of one.
class Results : public EventSink {
public:
    void onEvent(const Event& event) override {
        if (const auto* validation = std::get_if<ValidationEvent>(&event)) m_all.push_back(*validation);
    }
    const std::vector<ValidationEvent>& all() const { return m_all; }

private:
    std::vector<ValidationEvent> m_all;
};

Experiment experimentOf(const EvaluateArguments& arguments) {
    Experiment experiment = RunFileReader(arguments.runFile).experiment();
    applySets(experiment, arguments.sets);
    if (!arguments.data.empty()) applySets(experiment, {"task.corpus=" + arguments.data});
    if (arguments.batches) experiment.probes.validationBatches = *arguments.batches;
    if (arguments.lane) {
        const auto count = static_cast<std::int64_t>(experiment.lanes.size());
        require(*arguments.lane < count, "eval", "a lane below {} was expected, but found {}", count, *arguments.lane);
        // The others need not be had with what is set: a mechanism may be built for one length.
        experiment.lanes = {experiment.lanes[static_cast<std::size_t>(*arguments.lane)]};
    }
    experiment.validate();
    return experiment;
}

std::string namesOf(const std::vector<std::string>& classes) {
    constexpr std::size_t kMostNamed = 8;
    const auto named = std::min(classes.size(), kMostNamed);
    std::string text = fmt::format("{}", fmt::join(classes.begin(), classes.begin() + std::ptrdiff_t(named), ", "));
    if (classes.size() > named) text += fmt::format(" and {} more", classes.size() - named);
    return text;
}

/// A model knows classes by their number, and data number theirs by the alphabet: only where all names are the same
/// does a number mean the same.
void requireSameClasses(const EvaluateArguments& arguments, const Task& task) {
    const std::vector<std::string> trained = RunFileReader(arguments.runFile).classes(), found = task.classes();
    if (found == trained) return;
    if (trained.empty()) {
        if (!arguments.data.empty() || !arguments.sets.empty())
            fmt::print(stderr,
                       "{} does not say the names of its classes: whether these data have the same is not known\n",
                       arguments.runFile);
        return;
    }
    fail("eval",
         "data with the {} classes of the run, {}, were expected, but these have {}: {}; give a folder with the same "
         "classes",
         trained.size(), namesOf(trained), found.size(), namesOf(found));
}

fs::path checkpointOf(const EvaluateArguments& arguments) {
    const fs::path folder = checkpointFolder(arguments.runFile);
    const auto newest = newestCheckpoint(folder, arguments.step.value_or(std::numeric_limits<std::int64_t>::max()));
    require(newest && (!arguments.step || newest->filename() == checkpointName(*arguments.step)), "eval",
            "a checkpoint{} was expected in {}, but there is no whole one",
            arguments.step ? fmt::format(" of step {}", *arguments.step) : "", folder.string());
    return *newest;
}

}  // namespace

int runEvaluate(const EvaluateArguments& arguments) {
    const Experiment experiment = experimentOf(arguments);
    Trainer trainer(experiment, chosenDevice(arguments.device, experiment));
    requireSameClasses(arguments, trainer.task());
    const fs::path checkpoint = checkpointOf(arguments);
    const auto lane = arguments.lane ? std::optional(static_cast<int>(*arguments.lane)) : std::nullopt;
    trainer.loadCheckpoint(checkpoint, lane);
    Results results;
    trainer.addListener(results);
    trainer.validate();

    const std::vector<TaskBaseline> baselines = trainer.task().baselines();
    if (arguments.json) {
        Json lanes = Json::array(), lines = Json::array();
        for (const ValidationEvent& result : results.all())
            lanes.push_back({{"lane", trainer.lane(static_cast<std::size_t>(result.lane)).config().name},
                             {"loss", jsonNumber(result.loss)},
                             {"bits_per_byte", jsonNumber(result.bitsPerByte)},
                             {"accuracy", jsonNumber(result.accuracy)}});
        for (const TaskBaseline& line : baselines)
            lines.push_back({{"metric", line.metric}, {"name", line.name}, {"value", jsonNumber(line.value)}});
        printJson({{"run", arguments.runFile},
                   {"checkpoint", checkpoint.string()},
                   {"step", trainer.currentStep()},
                   {"batches", trainer.experiment().probes.validationBatches},
                   {"baselines", std::move(lines)},
                   {"lanes", std::move(lanes)}});
        return 0;
    }
    fmt::print("{} at step {}, {} held-out batches: {}\n", arguments.runFile, trainer.currentStep(),
               trainer.experiment().probes.validationBatches, trainer.task().description());
    for (const TaskBaseline& line : baselines)
        fmt::print("baseline {}: {} {:.4f}\n", line.metric, line.name, line.value);
    fmt::print("{:<24}{:>12}{:>12}{:>12}\n", "lane", "loss", "bits/byte", "accuracy");
    for (const ValidationEvent& result : results.all())
        fmt::print("{:<24}{:>12.4f}{:>12.4f}{:>12.4f}\n",
                   trainer.lane(static_cast<std::size_t>(result.lane)).config().name, result.loss, result.bitsPerByte,
                   result.accuracy);
    return 0;
}

}  // namespace linscope::app
