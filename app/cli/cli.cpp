#include "app/cli/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <memory>
#include <new>

#include "app/cli/commands.h"
#include "app/cli/lane_states.h"
#include "app/cli/standard_streams.h"
#include "core/attention/mechanism.h"
#include "core/base/error.h"
#include "core/base/precision.h"
#include "core/cuda/device.h"

namespace linscope::app {
namespace {

using Action = std::function<int()>;

// README.md has the same with examples, and tests/app/cli/test_exit_status.py holds both to it.
constexpr const char* kExitStatus =
    "Exit status: 0 done; 1 not done: wrong files, values or machine, no lane left that trains, a proof that fails; 2 "
    "wrong usage, whatever the files hold.";

/// One subcommand: `arguments` lives as long as the parser, and `run` is what main will call.
template <typename Arguments, typename Run>
CLI::App* command(CLI::App& parent, Action& chosen, const std::string& name, const std::string& help,
                  std::shared_ptr<Arguments>& arguments, Run run) {
    arguments = std::make_shared<Arguments>();
    CLI::App* app = parent.add_subcommand(name, help);
    app->callback([&chosen, arguments, run] { chosen = [arguments, run] { return run(*arguments); }; });
    return app;
}

/// A number of which something holds; not of NaN.
CLI::Validator numberThat(const char* what, bool (*holds)(double)) {
    return {[what, holds](const std::string& text) {
                double value = 0;
                const bool read = CLI::detail::lexical_cast(text, value);
                return read && holds(value) ? std::string() : fmt::format("{} was required, but got {}", what, text);
            },
            ""};
}
CLI::Validator aboveZero() {
    return numberThat("a number above 0", [](double x) { return x > 0; });
}
CLI::Validator notNegative() {
    return numberThat("0 or more", [](double x) { return x >= 0; });
}
CLI::Validator aShare() {
    return numberThat("a share from 0 to 1", [](double x) { return x >= 0 && x <= 1; });
}

/// What applySets() takes apart.
CLI::Validator keyAndValue() {
    return {[](const std::string& text) {
                const std::size_t equals = text.find('=');
                return equals != std::string::npos && equals > 0
                           ? std::string()
                           : fmt::format("key=value was required, but got \"{}\"", text);
            },
            ""};
}

CLI::Validator aMechanism() {
    std::vector<std::string> names;
    for (const MechanismInfo& mechanism : mechanisms()) names.emplace_back(mechanism.name);
    return CLI::IsMember(names);
}

void addDevice(CLI::App& app, std::string& device) {
    app.add_option("--device", device, "where to compute")
        ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
        ->capture_default_str();
}

void addPrecision(CLI::App& app, std::string& precision) {
    app.add_option("--precision", precision, "what factors of matrix products are rounded to")
        ->check(CLI::IsMember(std::vector<std::string>(kPrecisionNames.begin(), kPrecisionNames.end())))
        ->capture_default_str();
}

void addJson(CLI::App& app, bool& json) {
    app.add_flag("--json", json, "one JSON document on stdout");
}

void addTrain(CLI::App& parent, Action& chosen) {
    std::shared_ptr<TrainArguments> arguments;
    CLI::App* app = command(parent, chosen, "train", "train the lanes of an experiment", arguments, runTrain);
    CLI::Option* experiment = app->add_option("experiment", arguments->experiment, "the experiment's TOML file");
    experiment->type_name("EXPERIMENT.toml");
    app->add_option("--set", arguments->sets, "change a value of the experiment, as task.length=256")
        ->type_name("KEY=VALUE")
        ->check(keyAndValue())
        ->allow_extra_args(false);
    app->add_option("--out", arguments->out, "the run file to write (default: a dated one in runs/)")
        ->type_name("RUN.h5");
    app->add_option("--steps", arguments->steps, "steps in all, as --set steps=N; with --resume: where to stop")
        ->check(aboveZero());
    addDevice(*app, arguments->device);
    app->add_option("--check-device", arguments->checkDevice,
                    "compute this share of a device's steps on the processor too, and log the errors")
        ->type_name("FRACTION")
        ->check(aShare());
    app->add_option("--resume", arguments->resume, "go on with this run from its newest checkpoint")
        ->type_name("RUN.h5");
    app->parse_complete_callback([arguments] {
        if (arguments->experiment.empty() && arguments->resume.empty())
            throw CLI::RequiredError("EXPERIMENT.toml or --resume RUN.h5");
    });
}

void addInfo(CLI::App& parent, Action& chosen) {
    std::shared_ptr<InfoArguments> arguments;
    CLI::App* app =
        command(parent, chosen, "info", "lanes, parameters, last and best metrics, size, health", arguments, runInfo);
    app->add_option("run", arguments->runFile, "the run file")->type_name("RUN.h5")->required();
    addJson(*app, arguments->json);
}

void addRender(CLI::App& parent, Action& chosen) {
    std::shared_ptr<RenderArguments> arguments;
    CLI::App* app = command(parent, chosen, "render", "draw a view of a logged step to a PNG", arguments, runRender);
    app->add_option("run", arguments->runFile, "the run file")->type_name("RUN.h5")->required();
    const std::vector<std::string> views = viewNames();
    std::string names;
    for (const std::string& name : views) names += (names.empty() ? "" : ", ") + name;
    CLI::Option* view =
        app->add_option("--view", arguments->view, "one of " + (names.empty() ? "the views (none here)" : names))
            ->type_name("NAME")
            ->required();
    if (!views.empty()) view->check(CLI::IsMember(views));  // a build without says so when it is to draw
    CLI::Option* lane =
        app->add_option("--lane", arguments->lane, "default: the first that the view can show")->check(notNegative());
    CLI::Option* all = app->add_flag(
        "--all-lanes", arguments->allLanes,
        "every lane that the view can show, side by side in shared ranges, as the canvas's page of lanes does");
    all->excludes(lane);
    app->add_option("--range", arguments->range,
                    "of colours: one for all lanes, so that they compare, or each its own, which flat maps need to be "
                    "seen")
        ->check(CLI::IsMember({"one", "each"}))
        ->needs(all)
        ->capture_default_str();
    app->add_option("--layer", arguments->layer, "from 0")->check(notNegative())->capture_default_str();
    app->add_option("--head", arguments->head, "from 0")->check(notNegative())->capture_default_str();
    app->add_option("--step", arguments->step, "default: the newest snapshot")->check(notNegative());
    app->add_option("--sample", arguments->sample, "sequence of the snapshot, from 0")
        ->check(notNegative())
        ->capture_default_str();
    addDevice(*app, arguments->device);
    app->add_option("--out", arguments->out, "the picture")->type_name("OUT.png")->required();
}

void addMechanisms(CLI::App& parent, Action& chosen) {
    std::shared_ptr<MechanismsArguments> arguments;
    CLI::App* app = command(parent, chosen, "mechanisms", "the attention mechanisms, with traits and options",
                            arguments, runMechanisms);
    addJson(*app, arguments->json);
}

void addCheck(CLI::App& parent, Action& chosen) {
    std::shared_ptr<CheckArguments> arguments;
    CLI::App* app =
        command(parent, chosen, "check", "prove the mechanisms against their definitions", arguments, runCheck);
    app->add_option("--mechanism", arguments->mechanism, "only this one")->check(aMechanism());
    addDevice(*app, arguments->device);
    addPrecision(*app, arguments->precision);
    addJson(*app, arguments->json);
}

void addBatches(CLI::App& parent, Action& chosen) {
    std::shared_ptr<BatchesArguments> arguments;
    CLI::App* app =
        command(parent, chosen, "batches", "write an experiment's first batches, for a peer that trains on them",
                arguments, runBatches);
    app->add_option("experiment", arguments->experiment, "the experiment's TOML file")
        ->type_name("EXPERIMENT.toml")
        ->required();
    app->add_option("--count", arguments->count, "batches")->check(aboveZero())->capture_default_str();
    app->add_option("--out", arguments->out, "the file")->type_name("OUT.safetensors")->required();
}

void addEvaluate(CLI::App& parent, Action& chosen) {
    std::shared_ptr<EvaluateArguments> arguments;
    CLI::App* app = command(parent, chosen, "eval", "a trained run on held-out data, of another text or length too",
                            arguments, runEvaluate);
    app->add_option("run", arguments->runFile, "the run file")->type_name("RUN.h5")->required();
    app->add_option("--set", arguments->sets, "another value than the run was trained with, as task.length=256")
        ->type_name("KEY=VALUE")
        ->check(keyAndValue())
        ->allow_extra_args(false);
    app->add_option("--data", arguments->data, "another corpus, text file or folder: --set task.corpus=PATH")
        ->type_name("PATH");
    app->add_option("--lane", arguments->lane, "only this one")->check(notNegative());
    app->add_option("--batches", arguments->batches, "default: probes.validation_batches")->check(aboveZero());
    app->add_option("--step", arguments->step, "of the checkpoint (default: the newest)")->check(notNegative());
    addDevice(*app, arguments->device);
    addJson(*app, arguments->json);
}

void addGenerate(CLI::App& parent, Action& chosen) {
    std::shared_ptr<GenerateArguments> arguments;
    CLI::App* app = command(parent, chosen, "generate", "let a trained decoder write on, from its newest checkpoint",
                            arguments, runGenerate);
    app->add_option("run", arguments->runFile, "the run file")->type_name("RUN.h5")->required();
    app->add_option("--lane", arguments->lane, "from 0")->check(notNegative())->capture_default_str();
    CLI::Option* prompt = app->add_option("--prompt", arguments->prompt, "the text to go on from")->type_name("TEXT");
    app->add_option("--prompt-file", arguments->promptFile, "the same, from a file")
        ->type_name("FILE")
        ->excludes(prompt);
    app->add_option("--tokens", arguments->tokens, "to write")->check(notNegative())->capture_default_str();
    app->add_option("--data", arguments->data, "any other text, where the one that the run was trained on is gone")
        ->type_name("PATH");
    app->add_option("--temperature", arguments->temperature, "0: always the likeliest token")
        ->check(notNegative())
        ->capture_default_str();
    app->add_option("--top-k", arguments->topK, "draw from so many likeliest tokens; 0: from all")
        ->check(notNegative())
        ->capture_default_str();
    app->add_option("--seed", arguments->seed, "of the draws (default: 1, or where a loaded state left off)")
        ->check(notNegative());
    app->add_option("--save-state", arguments->saveState, "keep what the model remembers, to go on later")
        ->type_name("FILE");
    app->add_option("--state", arguments->state, "go on from a kept state without reading its text again")
        ->type_name("FILE");
    addJson(*app, arguments->json);
    app->parse_complete_callback([app] {
        if (app->count("--prompt") + app->count("--prompt-file") + app->count("--state") == 0)
            throw CLI::RequiredError("a text to go on from, --prompt, --prompt-file or --state,");
    });
}

void addBench(CLI::App& parent, Action& chosen, const CliHooks& hooks) {
    CLI::App* bench = parent.add_subcommand("bench", "measurements, with the peer or the bound beside");
    bench->require_subcommand(1);

    std::shared_ptr<BenchTrainStepArguments> step;
    CLI::App* trainStep =
        command(*bench, chosen, "train-step", "time of one training step of each lane", step, runBenchTrainStep);
    trainStep
        ->add_option("--layers", step->layers, "2 where another size is given; none: two shapes, of 2 and of 4 layers")
        ->check(aboveZero());
    trainStep->add_option("--width", step->width, "channels (default: 128)")->check(aboveZero());
    trainStep->add_option("--heads", step->heads, "of a layer (default: 4)")->check(aboveZero());
    trainStep->add_option("--length", step->length, "tokens (default: 512)")->check(aboveZero());
    trainStep->add_option("--batch", step->batch, "sequences (default: 8)")->check(aboveZero());
    trainStep->add_option("--k", step->slots, "slots of the Linformer lane (default: 64)")->check(aboveZero());
    trainStep->add_option("--repeat", step->repeat, "timed steps")->check(aboveZero())->capture_default_str();
    trainStep->add_option("--threads", step->threads, "of the processor (default: all)")->check(aboveZero());
    trainStep->add_option("--mechanism", step->mechanisms, "lanes to time (default: full and linformer)")
        ->check(aMechanism());
    addDevice(*trainStep, step->device);
    addPrecision(*trainStep, step->precision);
    trainStep->add_flag("--activation-checkpointing", step->activationCheckpointing,
                        "as model.activation_checkpointing: keep of each block its input alone");
    addJson(*trainStep, step->json);

    std::shared_ptr<BenchProbesArguments> probes;
    CLI::App* probeApp =
        command(*bench, chosen, "probes", "share of a step that probes and run file take", probes, runBenchProbes);
    probeApp
        ->add_option("--steps", probes->steps, "rounded up to a multiple of 100: whole periods of probes and snapshots")
        ->check(aboveZero())
        ->capture_default_str();
    probeApp->add_option("--length", probes->length, "tokens")->check(aboveZero())->capture_default_str();
    addJson(*probeApp, probes->json);

    std::shared_ptr<BenchDecodeArguments> decode;
    CLI::App* decodeApp = command(*bench, chosen, "decode", "time and memory of a token in decoding, of each mechanism",
                                  decode, runBenchDecode);
    decodeApp->add_option("--tokens", decode->tokens, "where to tell them (default: 1000,10000,100000)")
        ->delimiter(',')
        ->check(aboveZero());
    decodeApp->add_option("--layers", decode->layers, "blocks")->check(aboveZero())->capture_default_str();
    decodeApp->add_option("--width", decode->width, "channels")->check(aboveZero())->capture_default_str();
    decodeApp->add_option("--heads", decode->heads, "of a layer")->check(aboveZero())->capture_default_str();
    decodeApp->add_option("--seconds", decode->seconds, "at most for one mechanism")
        ->check(aboveZero())
        ->capture_default_str();
    decodeApp->add_option("--mechanism", decode->mechanism, "only this one")->check(aMechanism());
    addJson(*decodeApp, decode->json);

    std::shared_ptr<BenchLengthArguments> length;
    CLI::App* lengthApp = command(*bench, chosen, "length", "cost of one layer against the length, of each mechanism",
                                  length, runBenchLength);
    lengthApp->add_option("--lengths", length->lengths, "tokens (default: 512,1024,… 32768)")
        ->delimiter(',')
        ->check(aboveZero());
    lengthApp->add_option("--width", length->width, "channels")->check(aboveZero())->capture_default_str();
    lengthApp->add_option("--heads", length->heads, "of a layer")->check(aboveZero())->capture_default_str();
    lengthApp->add_option("--seconds", length->seconds, "at most, about, for one length of one mechanism")
        ->check(aboveZero())
        ->capture_default_str();
    lengthApp->add_option("--batch", length->batch, "sequences")->check(aboveZero())->capture_default_str();
    lengthApp->add_option("--mechanism", length->mechanism, "only this one")->check(aMechanism());
    addDevice(*lengthApp, length->device);
    addPrecision(*lengthApp, length->precision);
    addJson(*lengthApp, length->json);

    std::shared_ptr<BenchLinformerTableArguments> table;
    CLI::App* tableApp =
        command(*bench, chosen, "linformer-table",
                "time and memory that Linformer saves, as its paper's Table 3 has them", table, runBenchLinformerTable);
    tableApp->add_option("--lengths", table->lengths, "tokens (default: 512,1024,… 65536)")
        ->delimiter(',')
        ->check(aboveZero());
    tableApp->add_option("--slots", table->slots, "k (default: 128,256,… 2048)")->delimiter(',')->check(aboveZero());
    tableApp->add_option("--width", table->width, "channels")->check(aboveZero())->capture_default_str();
    tableApp->add_option("--heads", table->heads, "of a layer")->check(aboveZero())->capture_default_str();
    tableApp->add_option("--tokens", table->tokens, "of a batch, shared out to sequences of each length")
        ->check(aboveZero())
        ->capture_default_str();
    tableApp->add_option("--seconds", table->seconds, "at most, about, for one cell")
        ->check(aboveZero())
        ->capture_default_str();
    addDevice(*tableApp, table->device);
    addPrecision(*tableApp, table->precision);
    addJson(*tableApp, table->json);

    std::shared_ptr<BenchCanvasArguments> canvas;
    CLI::App* canvasApp = command(
        *bench, chosen, "canvas", "frame times of the canvas", canvas,
        [&hooks](const BenchCanvasArguments& arguments) { return runBenchCanvas(arguments, hooks.measureCanvas); });
    addJson(*canvasApp, canvas->json);

    std::shared_ptr<BenchStartArguments> start;
    CLI::App* startApp = command(
        *bench, chosen, "start", "from the program's start to the first step on the screen", start,
        [&hooks](const BenchStartArguments& arguments) { return runBenchStart(arguments, hooks.measureStart); });
    addJson(*startApp, start->json);
}

int openGui(const CliHooks& hooks, const GuiOptions& options) {
    require(static_cast<bool>(hooks.gui), "gui",
            "a build with the window is needed, but this one was made without it (LINSCOPE_GUI=OFF); "
            "linscope --help lists what it can do");
    return hooks.gui(options);
}

void addGui(CLI::App& parent, Action& chosen, const CliHooks& hooks) {
    auto options = std::make_shared<GuiOptions>();
    CLI::App* app = parent.add_subcommand("gui", "the workbench");
    app->add_option("path", options->path, "a run or an experiment to open")->type_name("RUN.h5 | EXPERIMENT.toml");
    app->add_option("--overlay", options->overlays,
                    "a run whose curves are laid over the charts, to compare; may be given again")
        ->type_name("RUN.h5")
        ->allow_extra_args(false);
    CLI::Option* screenshot =
        app->add_option("--screenshot", options->screenshot, "write a picture of the window and close")
            ->type_name("OUT.png");
    app->add_option("--after-steps", options->afterSteps, "training steps before the picture")
        ->check(notNegative())
        ->needs(screenshot);
    app->add_option("--device", options->device, "where to compute (default: as chosen in the window before)")
        ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
    app->add_option("--page", options->page, "of the canvas: the maps of a lane, its projection, or all lanes")
        ->check(CLI::IsMember(std::vector<std::string>(kCanvasPages.begin(), kCanvasPages.end())));
    app->add_option("--theme", options->theme, "the window's ground (default: as chosen in the window before)")
        ->check(CLI::IsMember({"dark", "light"}));
    app->callback([&chosen, &hooks, options] { chosen = [&hooks, options] { return openGui(hooks, *options); }; });
}

/// An exception's text as the one line that is promised: of a length that can be read, whatever a file has in place of
/// a word, and without what would steer a terminal.
std::string oneLine(std::string text) {
    constexpr std::size_t kLongest = 2000, kKept = 900;
    text = lineOf(std::move(text));
    if (text.size() <= kLongest) return text;
    const auto within = [&text](std::size_t at) {  // a whole character
        while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
        return at;
    };
    return text.substr(0, within(kKept)) + " … " + text.substr(within(text.size() - kKept));
}

constexpr const char* kNotPrinted =
    "[output] all that is printed had to be written, but standard output did not take it";

/// What was printed may be all that there is to show for the work.
void requirePrinted() {
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) throw Error(kNotPrinted);
}

}  // namespace

int runCli(int argc, char** argv, const CliHooks& hooks) {
    fillStandardStreams();
    try {
        CLI::App app("Linscope: a workbench for linear attention. Without arguments: the window.", "linscope");
        app.set_version_flag("--version", LINSCOPE_VERSION);
        app.require_subcommand(0, 1);
        app.footer(kExitStatus);  // which the commands inherit
        Action chosen = [&hooks] { return openGui(hooks, GuiOptions{}); };
        addGui(app, chosen, hooks);
        addTrain(app, chosen);
        addInfo(app, chosen);
        addRender(app, chosen);
        addMechanisms(app, chosen);
        addCheck(app, chosen);
        addEvaluate(app, chosen);
        addGenerate(app, chosen);
        addBatches(app, chosen);
        addBench(app, chosen, hooks);
        app.footer(fmt::format("linscope COMMAND --help lists the options of a command.\n{}", kExitStatus));
        try {
            app.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            if (error.get_exit_code() == 0) {
                app.exit(error);
                requirePrinted();
                return 0;
            }
            say("[usage] {}; linscope --help lists the commands\n", oneLine(error.what()));
            return 2;
        }
        const int status = chosen();
        requirePrinted();
        return status;
    } catch (const Error& error) {
        say("{}\n", oneLine(error.what()));
    } catch (const std::bad_alloc&) {
        sayText(
            "[memory] more memory was needed than this machine has left; make task.length, task.batch or "
            "whatever else was asked for smaller\n");
    } catch (const std::exception& error) {
        if (std::ferror(stdout) != 0)
            say("{}\n", kNotPrinted);  // noticed by fmt before the end
        else
            say("[linscope] {}\n", oneLine(error.what()));
    }
    return 1;
}

}  // namespace linscope::app
