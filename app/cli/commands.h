#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/bench_canvas.h"
#include "app/cli/bench_start.h"
#include "core/experiment/experiment.h"
#include "core/tensor/tensor.h"

namespace linscope::app {

struct TrainArguments {
    std::string experiment;             ///< may be empty where `resume` is given
    std::vector<std::string> sets;      ///< "key=value"
    std::string out;                    ///< run file; empty: a dated one in the folder runs
    std::optional<std::int64_t> steps;  ///< in all; a resumed run stops there without a change of its schedule
    std::string device = "auto";        ///< "cpu", "cuda" or "auto"
    double checkDevice = 0;             ///< share of the steps that the processor computes too
    std::string resume;                 ///< run file to go on with
};

struct InfoArguments {
    std::string runFile;
    bool json = false;
};

struct RenderArguments {
    std::string runFile;
    std::string view;
    std::optional<std::int64_t> lane;  ///< empty: the first that the view can show
    bool allLanes = false;             ///< all that it can show, side by side
    std::string range = "one";         ///< of their colours: "one" for all of a kind, or "each"
    std::int64_t layer = 0;
    std::int64_t head = 0;
    std::optional<std::int64_t> step;  ///< empty: the newest snapshot
    std::int64_t sample = 0;
    std::string device = "cpu";  ///< "auto": the CUDA device where there is one and the map has a form there
    std::string out;
};

struct MechanismsArguments {
    bool json = false;
};

struct CheckArguments {
    std::string mechanism;  ///< empty: all
    std::string device = "auto";
    std::string precision = "fp32";  ///< on a device; the processor proves fp32 and bf16 always
    bool json = false;
};

struct EvaluateArguments {
    std::string runFile;
    std::vector<std::string> sets;        ///< "key=value": another length, depth or corpus than it was trained with
    std::string data;                     ///< the task's corpus; empty: as it was trained with
    std::optional<std::int64_t> lane;     ///< empty: all
    std::optional<std::int64_t> batches;  ///< empty: as in the experiment
    std::optional<std::int64_t> step;     ///< of the checkpoint; empty: the newest
    std::string device = "auto";
    bool json = false;
};

struct GenerateArguments {
    std::string runFile;
    std::int64_t lane = 0;
    std::string prompt;
    std::string promptFile;  ///< instead of `prompt`
    std::string data;        ///< the task's corpus; empty: as it was trained with
    std::int64_t tokens = 200;
    double temperature = 1;
    std::int64_t topK = 0;             ///< 0: all
    std::optional<std::int64_t> seed;  ///< empty: 1, or where a loaded state left off
    std::string saveState, state;      ///< files
    bool json = false;
};

struct BatchesArguments {
    std::string experiment;
    std::int64_t count = 100;
    std::string out;
};

struct BenchTrainStepArguments {
    std::optional<std::int64_t> layers, width, heads, length, batch, slots;  ///< any given: one shape only
    std::int64_t repeat = 15;
    std::optional<std::int64_t> threads;
    std::string device = "cpu";
    std::string precision = "fp32";
    bool activationCheckpointing = false;
    std::vector<std::string> mechanisms;  ///< a lane each; empty: full and linformer
    bool json = false;
};

struct BenchProbesArguments {
    std::int64_t steps = 100;  ///< rounded up, so that probes and snapshots are as frequent as in a long run
    std::int64_t length = 512;
    bool json = false;
};

struct BenchDecodeArguments {
    std::vector<std::int64_t> tokens{1000, 10'000, 100'000};  ///< where time and memory are told
    std::int64_t layers = 2, width = 128, heads = 4;
    double seconds = 30;    ///< at most for one mechanism
    std::string mechanism;  ///< empty: every one with a causal form
    bool json = false;
};

struct BenchLengthArguments {
    std::vector<std::int64_t> lengths{512, 1024, 2048, 4096, 8192, 16'384, 32'768};
    std::int64_t width = 128, heads = 4, batch = 1;
    double seconds = 20;    ///< at most, about, for one length of one mechanism
    std::string mechanism;  ///< empty: all
    std::string device = "cpu", precision = "fp32";
    bool json = false;
};

struct BenchLinformerTableArguments {
    std::vector<std::int64_t> lengths{512, 1024, 2048, 4096, 8192, 16'384, 32'768, 65'536};
    std::vector<std::int64_t> slots{128, 256, 512, 1024, 2048};
    std::int64_t width = 256, heads = 4;
    std::int64_t tokens = 8192;  ///< of a batch, whose sequences are as many as that takes
    double seconds = 20;         ///< at most, about, for one cell
    std::string device = "auto", precision = "fp32";
    bool json = false;
};

struct BenchCanvasArguments {
    bool json = false;
};

struct BenchStartArguments {
    bool json = false;
};

/// Each carries out one command and returns the exit status; all throw Error.
int runTrain(const TrainArguments& arguments);
int runInfo(const InfoArguments& arguments);
int runRender(const RenderArguments& arguments);
int runMechanisms(const MechanismsArguments& arguments);
int runCheck(const CheckArguments& arguments);
int runEvaluate(const EvaluateArguments& arguments);
int runGenerate(const GenerateArguments& arguments);
int runBatches(const BatchesArguments& arguments);
int runBenchTrainStep(const BenchTrainStepArguments& arguments);
int runBenchProbes(const BenchProbesArguments& arguments);
int runBenchDecode(const BenchDecodeArguments& arguments);
int runBenchLength(const BenchLengthArguments& arguments);
int runBenchLinformerTable(const BenchLinformerTableArguments& arguments);
int runBenchCanvas(const BenchCanvasArguments& arguments, const MeasureCanvas& measure);
int runBenchStart(const BenchStartArguments& arguments, const MeasureStart& measure);

/// The names that `render --view` takes; empty where this build has no views.
std::vector<std::string> viewNames();

}  // namespace linscope::app
