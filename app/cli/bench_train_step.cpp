#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "app/cli/bench_setup.h"
#include "app/cli/bench_timing.h"
#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "app/cli/progress.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/cuda/device.h"
#include "core/data/task.h"
#include "core/ops/gemm.h"
#include "core/train/lane.h"

namespace linscope::app {
namespace {

constexpr int kWarmUpSteps = 3;

double millisecondsSince(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

/// Floating-point operations that one training step cannot do without: the matrix products of the
/// forward pass, and twice as many backwards.
/// NaN for a mechanism that has products of its own.
double stepFlops(const BenchShape& shape, const std::string& mechanism, const Batch& batch, std::int64_t vocabulary) {
    const bool linformer = mechanism == "linformer";
    if (!linformer && mechanism != "full") return std::numeric_limits<double>::quiet_NaN();
    const auto tokens = static_cast<double>(shape.batch * shape.length);
    const auto width = static_cast<double>(shape.width);
    const double columns = static_cast<double>(linformer ? shape.slots : shape.length);
    const double linear = 2 * tokens * width * width * (4 + 8);  // Q, K, V, output; the MLP's two of ratio 4
    const double attend = 2 * 2 * tokens * columns * width;      // scores, and weights times values
    const double project = linformer ? attend : 0;               // E·K and F·V are as large
    const double head = 2.0 * static_cast<double>(batch.selected.size()) * width * static_cast<double>(vocabulary);
    return 3 * (static_cast<double>(shape.layers) * (linear + attend + project) + head);
}

/// What this machine reaches on the shape of the MLP's product, in FLOP/s: the best of several.
double productRate(const BenchShape& shape) {
    const Product product{.m = shape.batch * shape.length,
                          .n = 4 * shape.width,
                          .k = shape.width,
                          .lda = shape.width,
                          .ldb = 4 * shape.width,
                          .ldc = 4 * shape.width};
    const std::vector<float> a(static_cast<std::size_t>(product.m * product.k), 0.5f);
    const std::vector<float> b(static_cast<std::size_t>(product.k * product.n), 0.25f);
    std::vector<float> c(static_cast<std::size_t>(product.m * product.n));
    double best = 0;
    for (int i = 0; i < 12; ++i) {
        const auto start = std::chrono::steady_clock::now();
        multiply(product, a.data(), b.data(), c.data());
        const double seconds = millisecondsSince(start) / 1e3;
        best = std::max(best, 2.0 * static_cast<double>(product.m * product.n * product.k) / seconds);
    }
    return best;
}

struct LaneTime {
    BenchShape shape;
    std::string lane;
    double medianMs = 0, fastestMs = 0;
    double deviceMs = 0;  ///< median by the device's clock, without what the processor does
    double boundMs = 0;   ///< the step's matrix products at the measured rate of one
    double tokensPerSecond = 0;
    double memoryBytes = 0;  ///< the arena's peak, and parameters with gradients and moments
};

/// What is measured beside the shape.
struct Setting {
    std::vector<std::string> mechanisms;
    std::int64_t repeat = 1;
    Device device = Device::Cpu;
    std::string precision;
    bool activationCheckpointing = false;
};

/// All lanes in turn, so that a machine that slows down slows all.
std::vector<LaneTime> measure(const BenchShape& shape, const Setting& setting, ProgressLine& progress) {
    const ScratchFolder folder;
    Experiment experiment = benchExperiment(shape, folder.path(), setting.mechanisms);
    experiment.model.precision = setting.precision;
    experiment.model.activationCheckpointing = setting.activationCheckpointing;
    const std::int64_t repeat = setting.repeat;
    const std::unique_ptr<Task> task =
        findTask(experiment.task.name).create(experiment.task.options, static_cast<std::uint64_t>(experiment.seed));
    std::vector<std::unique_ptr<Lane>> lanes;
    for (std::size_t i = 0; i < experiment.lanes.size(); ++i)
        lanes.push_back(std::make_unique<Lane>(experiment, i, *task, setting.device));

    Batch batch;
    std::vector<std::vector<double>> times(lanes.size()), deviceTimes(lanes.size());
    std::vector<double> memory(lanes.size());
    for (std::int64_t step = 1; step <= kWarmUpSteps + repeat; ++step) {
        progress.update(
            fmt::format("layers {} length {}: step {}/{}", shape.layers, shape.length, step, kWarmUpSteps + repeat));
        task->nextBatch(batch);
        for (std::size_t i = 0; i < lanes.size(); ++i) {
            const auto start = std::chrono::steady_clock::now();
            const LaneStep result = lanes[i]->step(batch, step);
            const double time = millisecondsSince(start);
            require(lanes[i]->state() == LaneState::Running, "bench", "a lane that trains was required, but {}",
                    lanes[i]->message());
            memory[i] = result.memoryBytes;
            if (step <= kWarmUpSteps) continue;
            times[i].push_back(time);
            deviceTimes[i].push_back(result.milliseconds);
        }
    }

    const double rate = setting.device == Device::Cpu ? productRate(shape) : std::numeric_limits<double>::quiet_NaN();
    std::vector<LaneTime> results;
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        LaneTime result{.shape = shape, .lane = lanes[i]->config().name};
        result.medianMs = median(times[i]);
        result.fastestMs = *std::min_element(times[i].begin(), times[i].end());
        result.deviceMs = median(deviceTimes[i]);
        result.boundMs = stepFlops(shape, lanes[i]->config().mechanism, batch, task->vocabulary()) / rate * 1e3;
        result.tokensPerSecond = static_cast<double>(shape.batch * shape.length) / result.medianMs * 1e3;
        result.memoryBytes = memory[i];
        results.push_back(result);
    }
    return results;
}

std::vector<BenchShape> shapesOf(const BenchTrainStepArguments& arguments) {
    const bool own = arguments.layers || arguments.width || arguments.heads || arguments.length || arguments.batch ||
                     arguments.slots;
    if (!own) return {BenchShape{}, BenchShape{.layers = 4, .length = 1024, .batch = 4}};
    const BenchShape usual;
    return {{.layers = arguments.layers.value_or(usual.layers),
             .width = arguments.width.value_or(usual.width),
             .heads = arguments.heads.value_or(usual.heads),
             .length = arguments.length.value_or(usual.length),
             .batch = arguments.batch.value_or(usual.batch),
             .slots = arguments.slots.value_or(usual.slots)}};
}

Json timeJson(const LaneTime& time) {
    return {{"lane", time.lane},
            {"layers", time.shape.layers},
            {"width", time.shape.width},
            {"heads", time.shape.heads},
            {"length", time.shape.length},
            {"batch", time.shape.batch},
            {"k", time.shape.slots},
            {"median_ms", time.medianMs},
            {"fastest_ms", time.fastestMs},
            {"device_ms", time.deviceMs},
            {"bound_ms", jsonNumber(time.boundMs)},
            {"memory_bytes", time.memoryBytes},
            {"tokens_per_second", time.tokensPerSecond}};
}

void printTable(const std::vector<LaneTime>& times, Device device) {
    const bool onDevice = device != Device::Cpu;
    fmt::print("{:<16}{:>7}{:>7}{:>7}{:>8}{:>7}{:>12}{:>13}{:>12}{:>12}{:>9}\n", "lane", "layers", "width", "heads",
               "length", "batch", "median ms", "fastest ms", onDevice ? "device ms" : "bound ms", "tokens/s", "MiB");
    for (const LaneTime& time : times)
        fmt::print("{:<16}{:>7}{:>7}{:>7}{:>8}{:>7}{:>12.3f}{:>13.3f}{:>12.3f}{:>12.0f}{:>9.1f}\n", time.lane,
                   time.shape.layers, time.shape.width, time.shape.heads, time.shape.length, time.shape.batch,
                   time.medianMs, time.fastestMs, onDevice ? time.deviceMs : time.boundMs, time.tokensPerSecond,
                   time.memoryBytes / (1 << 20));
    fmt::print("\n{}\n", onDevice
                             ? "device ms: the median by the device's clock; median ms is the whole call"
                             : "bound: the step's matrix products alone (3 × forward), at the rate that one product "
                               "of the MLP's shape reaches here");
    fmt::print("MiB: the most that activations and gradients took at once, and parameters with their moments\n");
}

}  // namespace

int runBenchTrainStep(const BenchTrainStepArguments& arguments) {
    if (arguments.threads) setThreadCount(static_cast<int>(*arguments.threads));
    Setting setting{.mechanisms = arguments.mechanisms, .repeat = arguments.repeat};
    setting.precision = arguments.precision;
    setting.activationCheckpointing = arguments.activationCheckpointing;
    if (setting.mechanisms.empty()) setting.mechanisms = {"full", "linformer"};
    if (arguments.device == "cuda") requireCuda();
    if (arguments.device != "cpu" && cudaAvailable()) setting.device = Device::Cuda;
    ProgressLine progress;
    std::vector<LaneTime> times;
    for (const BenchShape& shape : shapesOf(arguments))
        for (LaneTime& time : measure(shape, setting, progress)) times.push_back(std::move(time));
    progress.finish();

    const std::string where =
        setting.device == Device::Cuda ? cudaDescription() : fmt::format("{} threads", threadCount());
    if (!arguments.json) {
        fmt::print("one training step (forward, backward, AdamW), {}{}, {}, median of {} after {} for warm-up\n\n",
                   setting.precision, setting.activationCheckpointing ? ", activation checkpointing" : "", where,
                   arguments.repeat, kWarmUpSteps);
        printTable(times, setting.device);
        return 0;
    }
    Json results = Json::array();
    for (const LaneTime& time : times) results.push_back(timeJson(time));
    printJson({{"bench", "train-step"},
               {"device", nameOf(setting.device)},
               {"where", where},
               {"precision", setting.precision},
               {"activation_checkpointing", setting.activationCheckpointing},
               {"threads", threadCount()},
               {"repeat", arguments.repeat},
               {"results", std::move(results)}});
    return 0;
}

}  // namespace linscope::app
