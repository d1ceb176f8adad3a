#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <vector>

#include "app/cli/commands.h"
#include "app/cli/run_plan.h"
#include "core/base/error.h"
#include "core/base/memory.h"
#include "core/data/task.h"
#include "core/io/checkpoint.h"
#include "core/io/replaceable.h"

namespace linscope::app {
namespace {

/// Throws Error where so many batches like this one cannot be had in this machine's memory, in which they all are
/// before they are written: the system would give it, and end the program when it is written to.
void requireRoom(const Batch& batch, std::int64_t count) {
    constexpr double kGigabyte = 1e9;
    const std::size_t places = sizeof(std::int64_t) + 2 * sizeof(std::int32_t);  // selected, twice, and targets
    const std::size_t each =
        batch.tokens.size() * sizeof(std::int32_t) + batch.selected.size() * places + batch.keep.size() * sizeof(float);
    const double needed = static_cast<double>(each) * static_cast<double>(count);
    const auto there = static_cast<double>(machineMemory());
    require(needed <= there, "memory",
            "at most {:.1f} GB, all that this machine has, were required, but {} batches need {:.1f} GB; give a "
            "smaller --count",
            there / kGigabyte, count, needed / kGigabyte);
}

}  // namespace

int runBatches(const BatchesArguments& arguments) {
    const std::filesystem::path out = replaceableFile(arguments.out, FileKind::Safetensors, "batches");
    requireOutsideCheckpoints(out, "batches");
    const Experiment experiment = Experiment::fromFile(arguments.experiment);
    const std::unique_ptr<Task> task =
        findTask(experiment.task.name).create(experiment.task.options, static_cast<std::uint64_t>(experiment.seed));
    std::vector<Batch> batches(1);
    task->nextBatch(batches[0]);
    requireRoom(batches[0], arguments.count);
    while (std::ssize(batches) < arguments.count) task->nextBatch(batches.emplace_back());
    std::vector<std::vector<std::int32_t>> selected;  // safetensors here has 32-bit integers
    std::vector<NamedTensor> tensors;
    for (const Batch& batch : batches) selected.emplace_back(batch.selected.begin(), batch.selected.end());
    for (std::size_t i = 0; i < batches.size(); ++i) {
        Batch& batch = batches[i];
        const auto places = static_cast<std::int64_t>(batch.selected.size());
        tensors.push_back(
            {fmt::format("{}/tokens", i + 1), {batch.tokens.data(), {batch.batch, batch.length}, DType::I32}});
        tensors.push_back({fmt::format("{}/selected", i + 1), {selected[i].data(), {places}, DType::I32}});
        tensors.push_back({fmt::format("{}/targets", i + 1), {batch.targets.data(), {places}, DType::I32}});
        if (!batch.keep.empty())  // a peer needs the padding's mask too
            tensors.push_back(
                {fmt::format("{}/keep", i + 1), {batch.keep.data(), {batch.batch, batch.length}, DType::F32}});
    }
    writeSafetensors(out, tensors, {{"experiment", experiment.toToml()}});
    fmt::print("{}: the batches of steps 1 to {}\n", arguments.out, arguments.count);
    return 0;
}

}  // namespace linscope::app
