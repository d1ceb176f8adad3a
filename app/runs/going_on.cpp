#include "app/runs/going_on.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "core/train/checkpoint_state.h"
#include "core/train/trainer.h"

namespace linscope::app {
namespace {

constexpr std::string_view kWhere = "resume";

std::string differenceOf(const CheckpointOrigin& origin, const RunFileReader& run) {
    try {
        const auto found = firstDifference(Experiment::fromToml(origin.experimentToml, "checkpoint"), run.experiment());
        return found ? fmt::format("{} is {} there and {} here", found->key, found->first, found->second)
                     : std::string();
    } catch (const Error&) {
        return "its experiment is not one of this program";
    }
}

/// What to give a trainer so that it does again what was logged; nothing of commands that steer nothing.
std::optional<Command> steering(const CommandEvent& event) {
    if (event.name == "freeze" || event.name == "unfreeze")
        return Command{.kind = event.name == "freeze" ? CommandKind::Freeze : CommandKind::Unfreeze,
                       .lane = event.lane};
    if (event.name != "set_learning_rate") return std::nullopt;
    double rate = 0;
    const char *begin = event.newValue.data(), *end = begin + event.newValue.size();
    const auto [last, error] = std::from_chars(begin, end, rate);
    require(error == std::errc{} && last == end, kWhere, "a learning rate in the log of step {}, but found \"{}\"",
            event.step, event.newValue);
    return Command{.kind = CommandKind::SetLearningRate, .lane = event.lane, .value = rate};
}

}  // namespace

std::optional<ExperimentDifference> firstDifference(const Experiment& first, const Experiment& second) {
    std::map<std::string, OptionValue> values;
    for (const ExperimentField& field : fieldsOf(first)) values[field.key] = field.value;
    for (const ExperimentField& field : fieldsOf(second)) {
        const auto found = values.find(field.key);
        if (found == values.end()) return ExperimentDifference{field.key, "nothing", toTomlText(field.value)};
        if (!(found->second == field.value))
            return ExperimentDifference{field.key, toTomlText(found->second), toTomlText(field.value)};
    }
    if (first.lanes.size() == second.lanes.size()) return std::nullopt;
    return ExperimentDifference{"the number of lanes", fmt::format("{}", first.lanes.size()),
                                fmt::format("{}", second.lanes.size())};
}

void requireOwnCheckpoint(const RunFileReader& run, const std::filesystem::path& checkpoint) {
    const CheckpointOrigin origin = readCheckpointOrigin(checkpoint);
    const bool named = !origin.run.empty() && !run.runId().empty();
    if (named && origin.run == run.runId()) return;
    const std::string found = differenceOf(origin, run);
    if (!named && found.empty()) return;
    fail(
        "checkpoint",
        "{} must be of the run whose folder it lies in, but it is of another one{}; put the run's own checkpoints back "
        "there",
        checkpoint.string(), found.empty() ? " of the same experiment" : ": " + found);
}

std::string changeOfData(const RunFileReader& run, const Task& task) {
    const std::string digest = task.dataDigest();
    if (run.dataDigest().empty() || digest == run.dataDigest()) return {};
    const std::string now = task.description();
    const auto named = [](const std::string& text, const std::string& sum) {
        return sum.empty() ? fmt::format("\"{}\"", text) : fmt::format("\"{}\" (digest {})", text, sum);
    };
    if (now == run.data()) return fmt::format("\"{}\" looks the same, but reads otherwise", now);
    return fmt::format("then it was {}, now it is {}", named(run.data(), run.dataDigest()), named(now, digest));
}

void requireSameData(const RunFileReader& run, const Task& task) {
    const std::string change = changeOfData(run, task);
    require(
        change.empty(), kWhere,
        "a resumed run keeps its data, but task.corpus has changed since it began: {}; put the text back as it was, or "
        "train a new run on the new one with --out",
        change);
}

void goOnFrom(Trainer& trainer, const RunFileReader& run, const std::filesystem::path& checkpoint) {
    requireOwnCheckpoint(run, checkpoint);
    requireSameData(run, trainer.task());
    trainer.loadCheckpoint(checkpoint);
    // What was asked for between the checkpoint and the step after it. What is in the checkpoint already is set once
    // more, to the same.
    for (const Event& event : run.log())
        if (const auto* command = std::get_if<CommandEvent>(&event); command && command->step == trainer.currentStep())
            if (const auto again = steering(*command)) trainer.apply(*again);
}

}  // namespace linscope::app
