#include "app/cli/going_on.h"

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

/// The first value in which two experiments differ: "optimizer.learning_rate is 0.002 there and 0.001 here"; empty
/// where all are the same.
std::string difference(const Experiment& there, const Experiment& here) {
    std::map<std::string, OptionValue> values;
    for (const ExperimentField& field : fieldsOf(there)) values[field.key] = field.value;
    for (const ExperimentField& field : fieldsOf(here)) {
        const auto found = values.find(field.key);
        if (found == values.end()) return fmt::format("it has no {}", field.key);
        if (!(found->second == field.value))
            return fmt::format("{} is {} there and {} here", field.key, toTomlText(found->second),
                               toTomlText(field.value));
    }
    return there.lanes.size() == here.lanes.size()
               ? std::string()
               : fmt::format("it has {} lanes and not {}", there.lanes.size(), here.lanes.size());
}

std::string differenceOf(const CheckpointOrigin& origin, const RunFileReader& run) {
    try {
        return difference(Experiment::fromToml(origin.experimentToml, "checkpoint"), run.experiment());
    } catch (const Error&) {
        return "its experiment is not one of this program";
    }
}

/// What to give a trainer so that it does again what was logged; nothing of commands that steer nothing.
std::optional<Command> steering(const CommandEvent& event) {
    if (event.name == "freeze" || event.name == "unfreeze")
        return Command{.kind = event.name == "freeze" ? CommandKind::Freeze : CommandKind::Unfreeze,
                       .lane = event.lane,
                       .target = "projections"};
    if (event.name != "set_learning_rate") return std::nullopt;
    double rate = 0;
    const char *begin = event.newValue.data(), *end = begin + event.newValue.size();
    const auto [last, error] = std::from_chars(begin, end, rate);
    require(error == std::errc{} && last == end, kWhere, "a learning rate in the log of step {}, but found \"{}\"",
            event.step, event.newValue);
    return Command{.kind = CommandKind::SetLearningRate, .lane = event.lane, .value = rate, .target = {}};
}

}  // namespace

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
    if (now == run.data()) return fmt::format("\"{}\" is as long, but reads otherwise", now);
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
