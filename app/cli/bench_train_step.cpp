#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "app/cli/bench_setup.h"
#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "app/cli/progress.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
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
double stepFlops(const BenchShape& shape, bool linformer, const Batch& batch, std::int64_t vocabulary) {
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
    double boundMs = 0;  ///< the step's matrix products at the measured rate of one
    double tokensPerSecond = 0;
};

/// Both lanes in turn, so that a machine that slows down slows both.
std::vector<LaneTime> measure(const BenchShape& shape, std::int64_t repeat, ProgressLine& progress) {
    const ScratchFolder folder;
    const Experiment experiment = benchExperiment(shape, folder.path());
    const std::unique_ptr<Task> task =
        findTask(experiment.task.name).create(experiment.task.options, static_cast<std::uint64_t>(experiment.seed));
    std::vector<std::unique_ptr<Lane>> lanes;
    for (std::size_t i = 0; i < experiment.lanes.size(); ++i)
        lanes.push_back(std::make_unique<Lane>(experiment, i, *task));

    Batch batch;
    std::vector<std::vector<double>> times(lanes.size());
    for (std::int64_t step = 1; step <= kWarmUpSteps + repeat; ++step) {
        progress.update(
            fmt::format("layers {} length {}: step {}/{}", shape.layers, shape.length, step, kWarmUpSteps + repeat));
        task->nextBatch(batch);
        for (std::size_t i = 0; i < lanes.size(); ++i) {
            const auto start = std::chrono::steady_clock::now();
            lanes[i]->step(batch, step);
            const double time = millisecondsSince(start);
            require(lanes[i]->state() == LaneState::Running, "bench", "a lane that trains was required, but {}",
                    lanes[i]->message());
            if (step > kWarmUpSteps) times[i].push_back(time);
        }
    }

    const double rate = productRate(shape);
    std::vector<LaneTime> results;
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        LaneTime result{.shape = shape, .lane = lanes[i]->config().name};
        result.medianMs = median(times[i]);
        result.fastestMs = *std::min_element(times[i].begin(), times[i].end());
        const bool linformer = lanes[i]->config().mechanism == "linformer";
        result.boundMs = stepFlops(shape, linformer, batch, task->vocabulary()) / rate * 1e3;
        result.tokensPerSecond = static_cast<double>(shape.batch * shape.length) / result.medianMs * 1e3;
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
            {"bound_ms", time.boundMs},
            {"tokens_per_second", time.tokensPerSecond}};
}

void printTable(const std::vector<LaneTime>& times) {
    fmt::print("{:<16}{:>7}{:>7}{:>7}{:>8}{:>7}{:>12}{:>13}{:>10}{:>12}\n", "lane", "layers", "width", "heads",
               "length", "batch", "median ms", "fastest ms", "bound ms", "tokens/s");
    for (const LaneTime& time : times)
        fmt::print("{:<16}{:>7}{:>7}{:>7}{:>8}{:>7}{:>12.2f}{:>13.2f}{:>10.2f}{:>12.0f}\n", time.lane,
                   time.shape.layers, time.shape.width, time.shape.heads, time.shape.length, time.shape.batch,
                   time.medianMs, time.fastestMs, time.boundMs, time.tokensPerSecond);
    fmt::print(
        "\nbound: the step's matrix products alone (3 × forward), at the rate that one product of the MLP's "
        "shape reaches here\n");
}

}  // namespace

int runBenchTrainStep(const BenchTrainStepArguments& arguments) {
    if (arguments.threads) setThreadCount(static_cast<int>(*arguments.threads));
    ProgressLine progress;
    std::vector<LaneTime> times;
    for (const BenchShape& shape : shapesOf(arguments))
        for (LaneTime& time : measure(shape, arguments.repeat, progress)) times.push_back(std::move(time));
    progress.finish();

    if (!arguments.json) {
        fmt::print(
            "one training step (forward, backward, AdamW), fp32, {} threads, median of {} after {} for warm-up\n\n",
            threadCount(), arguments.repeat, kWarmUpSteps);
        printTable(times);
        return 0;
    }
    Json results = Json::array();
    for (const LaneTime& time : times) results.push_back(timeJson(time));
    printJson({{"bench", "train-step"},
               {"threads", threadCount()},
               {"repeat", arguments.repeat},
               {"results", std::move(results)}});
    return 0;
}

}  // namespace linscope::app
