#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "app/cli/lane_states.h"
#include "app/cli/run_plan.h"
#include "app/cli/standard_streams.h"
#include "app/runs/device_choice.h"
#include "app/runs/going_on.h"
#include "core/attention/position.h"
#include "core/base/error.h"
#include "core/data/task.h"
#include "core/io/run_file.h"
#include "core/train/checkpoint_state.h"
#include "core/train/lane.h"
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

Experiment experimentOf(const EvaluateArguments& arguments, const RunFileReader& run) {
    Experiment experiment = run.experiment();
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
void requireSameClasses(const EvaluateArguments& arguments, const RunFileReader& run, const Task& task) {
    const std::vector<std::string> trained = run.classes(), found = task.classes();
    if (found == trained) return;
    if (trained.empty()) {
        if (!arguments.data.empty() || !arguments.sets.empty())
            say("{} does not say the names of its classes: whether these data have the same is not known\n",
                arguments.runFile);
        return;
    }
    fail("eval",
         "data with the {} classes of the run, {}, were expected, but these have {}: {}; give a folder with the same "
         "classes",
         trained.size(), namesOf(trained), found.size(), namesOf(found));
}

/// Said in time: that parameters differ in shape would not tell why.
void requireLength(const RunFileReader& run, Trainer& trainer) {
    const std::int64_t trained = run.experiment().length();
    for (std::size_t i = 0; i < trainer.laneCount(); ++i) {
        const Lane& lane = trainer.lane(i);
        const bool placesEnd = trainer.experiment().model.position == nameOf(Position::Learned);  // in every lane
        require(lane.builtFor().value_or(trained) == trained, "eval",
                "task.length must be {}, for which the lane \"{}\" was built, but it is {}; leave it, {}", trained,
                lane.config().name, lane.builtFor().value_or(trained),
                placesEnd ? "since learned positions are of one length"
                          : "or choose a lane that takes any length with --lane");
    }
}

fs::path checkpointOf(const EvaluateArguments& arguments, const RunFileReader& run) {
    const fs::path folder = checkpointFolder(arguments.runFile);
    const auto newest = newestCheckpoint(folder, arguments.step.value_or(std::numeric_limits<std::int64_t>::max()));
    require(newest && (!arguments.step || newest->filename() == checkpointName(*arguments.step)), "eval",
            "a checkpoint{} was expected in {}, but there is no whole one",
            arguments.step ? fmt::format(" of step {}", *arguments.step) : "", folder.string());
    requireOwnCheckpoint(run, *newest);
    return *newest;
}

/// What there is to tell of a lane: numbers, or why there are none.
struct Verdict {
    std::string name;
    std::optional<ValidationEvent> numbers;
    std::string stopped;
};

std::vector<Verdict> verdictsOf(const EvaluateArguments& arguments, const RunFileReader& run, Trainer& trainer,
                                const std::vector<ValidationEvent>& results) {
    std::vector<Verdict> verdicts;
    for (std::size_t i = 0; i < trainer.laneCount(); ++i) {
        const Lane& lane = trainer.lane(i);
        Verdict verdict{.name = lane.config().name, .numbers = {}, .stopped = {}};
        const int logged = arguments.lane ? static_cast<int>(*arguments.lane) : lane.index();
        for (const ValidationEvent& result : results)
            if (result.lane == lane.index()) verdict.numbers = result;
        if (lane.state() != LaneState::Running)
            verdict.stopped = stopText(run, logged, lane.state(), lane.message());
        else if (verdict.numbers && !std::isfinite(verdict.numbers->loss))
            verdict.stopped = "its loss on these data is not finite";
        if (!verdict.stopped.empty()) verdict.numbers.reset();
        verdicts.push_back(std::move(verdict));
    }
    return verdicts;
}

/// Throws Error, which says why, where no lane has numbers.
void requireNumbers(const std::vector<Verdict>& verdicts) {
    std::string reasons;
    for (const Verdict& verdict : verdicts) {
        if (verdict.numbers) return;
        reasons += fmt::format("{}\"{}\": {}", reasons.empty() ? "" : ", ", verdict.name, verdict.stopped);
    }
    fail("eval",
         "at least one lane that can be evaluated was expected, but found {}; --step takes a checkpoint before that",
         reasons);
}

void printVerdicts(const std::vector<Verdict>& verdicts) {
    const bool bytes = std::ranges::any_of(verdicts, [](const Verdict& verdict) {
        return verdict.numbers && std::isfinite(verdict.numbers->bitsPerByte);
    });
    fmt::print("{:<24}{:>12}{}{:>12}\n", "lane", "loss", bytes ? "   bits/byte" : "", "accuracy");
    for (const Verdict& verdict : verdicts)
        if (verdict.numbers)
            fmt::print("{:<24}{:>12.4f}{}{:>12.4f}\n", lineOf(verdict.name), verdict.numbers->loss,
                       bytes ? fmt::format("{:>12.4f}", verdict.numbers->bitsPerByte) : "", verdict.numbers->accuracy);
        else
            fmt::print("{:<24}  not evaluated: {}\n", lineOf(verdict.name), verdict.stopped);
}

Json jsonOf(const std::vector<Verdict>& verdicts) {
    Json lanes = Json::array();
    for (const Verdict& verdict : verdicts) {
        const auto number = [&](double ValidationEvent::*value) {
            return verdict.numbers ? jsonNumber(*verdict.numbers.*value) : Json(nullptr);
        };
        lanes.push_back({{"lane", verdict.name},
                         {"loss", number(&ValidationEvent::loss)},
                         {"bits_per_byte", number(&ValidationEvent::bitsPerByte)},
                         {"accuracy", number(&ValidationEvent::accuracy)},
                         {"stopped", verdict.stopped.empty() ? Json(nullptr) : Json(verdict.stopped)}});
    }
    return lanes;
}

}  // namespace

int runEvaluate(const EvaluateArguments& arguments) {
    const RunFileReader run(arguments.runFile);
    const Experiment experiment = experimentOf(arguments, run);
    Trainer trainer(experiment, chosenDevice(arguments.device, experiment));
    requireLength(run, trainer);
    requireSameClasses(arguments, run, trainer.task());
    if (arguments.data.empty() && arguments.sets.empty())
        if (const std::string change = changeOfData(run, trainer.task()); !change.empty())
            say("these are not the data that the run began with: {}\n", lineOf(change));
    const fs::path checkpoint = checkpointOf(arguments, run);
    const auto lane = arguments.lane ? std::optional(static_cast<int>(*arguments.lane)) : std::nullopt;
    trainer.loadCheckpoint(checkpoint, lane);
    Results results;
    trainer.addListener(results);
    trainer.validate();

    const std::vector<Verdict> verdicts = verdictsOf(arguments, run, trainer, results.all());
    requireNumbers(verdicts);
    const std::vector<TaskBaseline> baselines = trainer.task().baselines();
    if (arguments.json) {
        Json lines = Json::array();
        for (const TaskBaseline& line : baselines)
            lines.push_back({{"metric", line.metric}, {"name", line.name}, {"value", jsonNumber(line.value)}});
        printJson({{"run", arguments.runFile},
                   {"checkpoint", checkpoint.string()},
                   {"step", trainer.currentStep()},
                   {"batches", trainer.experiment().probes.validationBatches},
                   {"baselines", std::move(lines)},
                   {"lanes", jsonOf(verdicts)}});
        return 0;
    }
    fmt::print("{} at step {}, {} held-out batches: {}\n", lineOf(arguments.runFile), trainer.currentStep(),
               trainer.experiment().probes.validationBatches, lineOf(trainer.task().description()));
    for (const TaskBaseline& line : baselines)
        fmt::print("baseline {}: {} {:.4f}\n", line.metric, line.name, line.value);
    printVerdicts(verdicts);
    return 0;
}

}  // namespace linscope::app
