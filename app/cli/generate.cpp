#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "app/cli/lane_states.h"
#include "app/cli/progress.h"
#include "app/cli/run_plan.h"
#include "app/cli/standard_streams.h"
#include "app/runs/going_on.h"
#include "core/base/amount_text.h"
#include "core/base/error.h"
#include "core/data/encoding.h"
#include "core/data/task.h"
#include "core/io/replaceable.h"
#include "core/io/run_file.h"
#include "core/nn/token_decoder.h"
#include "core/train/checkpoint_state.h"
#include "core/train/lane.h"
#include "core/train/trainer.h"

namespace linscope::app {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kWhere = "generate";
constexpr std::size_t kLongestPrompt = 1 << 28;  // bytes; a day's reading

double millisecondsSince(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// A text file as a task reads its own (core/data/text_source.h): without byte order mark, each CR LF as LF. Other
/// bytes are kept, since a piece of a text may begin and end within a character; stderr tells them.
std::string normalised(std::string text, const std::string& name) {
    if (const auto problem = encodingProblem(text))
        say("{} is no whole UTF-8 text, as all is that was trained on, but has {}\n", name, problem->found);
    normaliseText(text);
    return text;
}

std::string promptOf(const GenerateArguments& arguments) {
    if (arguments.promptFile.empty()) return arguments.prompt;
    std::ifstream file(arguments.promptFile, std::ios::binary);
    // A part at a time: a pipe tells no size, and a device may have no end.
    std::string text;
    std::array<char, 1 << 16> part{};
    while (file.read(part.data(), part.size()) || file.gcount() > 0) {
        text.append(part.data(), static_cast<std::size_t>(file.gcount()));
        require(text.size() <= kLongestPrompt, kWhere,
                "a text of at most {} bytes was expected for --prompt-file, but \"{}\" has more; give a part of it",
                kLongestPrompt, arguments.promptFile);
    }
    require(file.eof() && !fs::is_directory(arguments.promptFile), kWhere,
            "a readable text file was expected for --prompt-file, but \"{}\" is none", arguments.promptFile);
    return normalised(std::move(text), lineOf(arguments.promptFile));
}

/// Where the state is to be kept; empty: nowhere.
fs::path stateFileOf(const GenerateArguments& arguments) {
    if (arguments.saveState.empty()) return {};
    fs::path file = replaceableFile(arguments.saveState, FileKind::Safetensors, "--save-state");
    requireOutsideCheckpoints(file, "--save-state");
    return file;
}

/// The lane's model as the newest checkpoint holds it.
struct LoadedLane {
    Trainer trainer;
    fs::path checkpoint;
    Lane& lane() { return trainer.lane(0); }
};

/// Throws Error that says how to do without the text that a run was trained on: its task is made from one, but the
/// model asks nothing of it.
Trainer trainerOf(const Experiment& experiment) {
    try {
        return Trainer(experiment);
    } catch (const Error& error) {
        if (!std::string_view(error.what()).starts_with("[corpus]")) throw;
        fail(kWhere,
             "a text for the run's task was expected, but {}; --data takes any other that is as long as a sequence",
             error.what());
    }
}

std::unique_ptr<LoadedLane> load(const GenerateArguments& arguments) {
    const RunFileReader run(arguments.runFile);
    Experiment experiment = run.experiment();
    experiment.set("task.batch", "1");  // nothing is trained: a machine may be too small for the run's
    experiment.probes.samples = 1;      // which are at most the batch's
    const auto lane = static_cast<int>(arguments.lane);
    require(arguments.lane < static_cast<std::int64_t>(experiment.lanes.size()), "--lane",
            "a lane from 0 to {} was expected, but {} was given", experiment.lanes.size() - 1, arguments.lane);
    experiment.lanes = {experiment.lanes[static_cast<std::size_t>(lane)]};
    require(experiment.model.causal(), kWhere,
            "a decoder was expected, but the lanes of {} are encoders, which see the whole text; train with "
            "model.kind = \"decoder\"",
            arguments.runFile);
    const fs::path folder = checkpointFolder(arguments.runFile);
    const auto checkpoint = newestCheckpoint(folder, std::numeric_limits<std::int64_t>::max());
    require(checkpoint.has_value(), kWhere, "a checkpoint was expected in {}, but there is no whole one",
            folder.string());
    if (!arguments.data.empty()) applySets(experiment, {"task.corpus=" + arguments.data});
    std::unique_ptr<LoadedLane> loaded(new LoadedLane{trainerOf(experiment), *checkpoint});
    require(loaded->trainer.task().tokensOf("").has_value(), kWhere,
            "a task whose tokens are text was expected, but {} is not one; train with task.name = \"next_byte\"",
            experiment.task.name);
    requireOwnCheckpoint(run, *checkpoint);
    loaded->trainer.loadCheckpoint(*checkpoint, lane);
    const Lane& own = loaded->lane();
    require(own.state() == LaneState::Running, kWhere,
            "a lane that has not stopped was expected, but \"{}\" {}; choose another --lane", own.config().name,
            stopText(run, lane, own.state(), own.message()));
    return loaded;
}

/// Tells how far it is where that takes longer than a person waits without a word.
void readPrompt(const std::vector<std::int32_t>& prompt, TokenDecoder& decoder) {
    constexpr double kPatience = 2000;  // ms
    ProgressLine progress;
    const auto begin = Clock::now();
    auto last = begin;
    std::size_t before = 0;
    decoder.read(prompt, [&](std::size_t taken) {
        const double seconds = millisecondsSince(std::exchange(last, Clock::now())) / 1e3;
        const double rate = static_cast<double>(taken - std::exchange(before, taken)) / std::max(seconds, 1e-6);
        const std::size_t left = prompt.size() - taken;
        if (left > 0 && millisecondsSince(begin) > kPatience)
            progress.update(fmt::format("reading token {} of {}  {:.0f} tokens/s  {} left", taken, prompt.size(), rate,
                                        durationText(static_cast<double>(left) / rate)));
    });
}

}  // namespace

int runGenerate(const GenerateArguments& arguments) {
    const fs::path stateFile = stateFileOf(arguments);  // before any work is done for it
    const auto loaded = load(arguments);
    const Task& task = loaded->trainer.task();
    const std::string model = modelFingerprint(loaded->lane().parameters());
    TokenDecoder decoder = loaded->lane().startDecoding();
    Random random(static_cast<std::uint64_t>(arguments.seed.value_or(1)), "generate");
    if (!arguments.state.empty()) {
        const SavedDecoding saved = readDecoding(arguments.state, model);
        decoder.load(saved.state);
        if (!arguments.seed) random = Random(saved.random);
    }
    const std::vector<std::int32_t> prompt = task.tokensOf(promptOf(arguments)).value();
    require(!prompt.empty() || decoder.place() > 0, kWhere,
            "a text to go on from was expected, but there is none; give --prompt, --prompt-file or --state");
    const std::int64_t wanted = decoder.place() + static_cast<std::int64_t>(prompt.size()) + arguments.tokens;
    require(!decoder.longest() || wanted <= *decoder.longest(), kWhere,
            "this lane was built for {} tokens, but {} would be needed; ask for fewer --tokens or a shorter text, or "
            "train with a position and a mechanism that have no end",
            decoder.longest().value_or(0), wanted);

    const auto promptStart = Clock::now();
    readPrompt(prompt, decoder);
    const double promptMilliseconds = millisecondsSince(promptStart);

    const Sampling sampling{.temperature = arguments.temperature, .topK = arguments.topK};
    std::string text;
    std::vector<std::int32_t> tokens;
    std::vector<double> milliseconds;
    for (std::int64_t i = 0; i < arguments.tokens; ++i) {
        const auto start = Clock::now();
        const std::int32_t token = drawToken(decoder.logits(), sampling, random);
        const std::string bytes = task.textOf(token).value();
        if (!arguments.json) {  // bytes as they are, as they come
            std::fwrite(bytes.data(), 1, bytes.size(), stdout);
            std::fflush(stdout);
        }
        decoder.step(token);
        milliseconds.push_back(millisecondsSince(start));
        tokens.push_back(token);
        text += bytes;
    }
    if (!stateFile.empty())
        writeDecoding(stateFile, {.model = model, .state = decoder.save(), .random = random.state()});
    const std::int64_t stateBytes = decoder.stateBytes();
    if (arguments.json) {
        printJson({{"run", arguments.runFile},
                   {"checkpoint", loaded->checkpoint.string()},
                   {"lane", loaded->lane().config().name},
                   {"mechanism", loaded->lane().config().mechanism},
                   {"model", model},
                   {"prompt_tokens", prompt.size()},
                   {"prompt_ms", promptMilliseconds},
                   {"text", text},
                   {"tokens", tokens},
                   {"milliseconds", milliseconds},
                   {"place", decoder.place()},
                   {"state_bytes", stateBytes}});
        return 0;
    }
    double sum = 0;
    for (const double each : milliseconds) sum += each;
    say("\n{} tokens read in {:.1f} ms, {} written at {:.3f} ms each; state {} bytes at token {}\n", prompt.size(),
        promptMilliseconds, tokens.size(), sum / static_cast<double>(std::max<std::size_t>(1, tokens.size())),
        stateBytes, decoder.place());
    return 0;
}

}  // namespace linscope::app
