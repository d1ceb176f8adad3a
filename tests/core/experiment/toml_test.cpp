#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/base/error.h"
#include "core/experiment/experiment.h"

namespace linscope {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

std::string errorOf(std::string_view text) {
    try {
        Experiment::fromToml(text, "x.toml");
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

constexpr std::string_view kLane = "[[lane]]\nname = \"full\"\nattention = { mechanism = \"full\" }\n";

/// `text` after a valid lane of three lines: the first line of `text` is line 4.
std::string errorAfterLane(std::string_view text) {
    return errorOf(std::string(kLane) + std::string(text));
}

TEST(ExperimentToml, ReadsWhatTheFileSays) {
    const Experiment experiment = Experiment::fromToml(R"(
title = "T"
seed = 7
steps = 30
[task]
name = "masked_bytes"
corpus = "texts"
length = 64
batch = 3
mask_fraction = 0.25
[model]
layers = 3
width = 60
heads = 5
mlp_ratio = 2
[optimizer]
learning_rate = 1
final_fraction = 0.5
weight_decay = 0.0
[probes]
snapshot_every = 9
validate_every = 8
validation_batches = 2
[checkpoint]
every = 0
keep = 1
[[lane]]
name = "a"
attention = { mechanism = "full" }
[[lane]]
name = "b"
[lane.attention]
mechanism = "linformer"
k = [8, 16, 32]
sharing = "none"
)",
                                                       "x.toml");
    EXPECT_EQ(experiment.title, "T");
    EXPECT_EQ(experiment.seed, 7);
    EXPECT_EQ(experiment.steps, 30);
    EXPECT_EQ(experiment.length(), 64);
    EXPECT_EQ(experiment.batch(), 3);
    EXPECT_EQ(*findValue(experiment.task.options, "corpus"), OptionValue(std::string("texts")));
    EXPECT_EQ(*findValue(experiment.task.options, "mask_fraction"), OptionValue(0.25));
    EXPECT_EQ(experiment.model.layers, 3);
    EXPECT_EQ(experiment.model.mlpRatio, 2);
    EXPECT_EQ(experiment.optimizer.learningRate, 1.0);
    EXPECT_EQ(experiment.optimizer.finalFraction, 0.5);
    EXPECT_EQ(experiment.optimizer.weightDecay, 0.0);
    EXPECT_EQ(experiment.optimizer.beta2, 0.98);
    EXPECT_EQ(experiment.probes.snapshotEvery, 9);
    EXPECT_EQ(experiment.probes.validateEvery, 8);
    EXPECT_EQ(experiment.probes.validationBatches, 2);
    EXPECT_EQ(experiment.checkpoint.every, 0);
    EXPECT_EQ(experiment.checkpoint.keep, 1);
    ASSERT_EQ(experiment.lanes.size(), 2u);
    EXPECT_EQ(experiment.lanes[1].name, "b");
    EXPECT_EQ(experiment.lanes[1].mechanism, "linformer");
    EXPECT_EQ(*findValue(experiment.lanes[1].options, "k"), OptionValue(std::vector<std::int64_t>{8, 16, 32}));
    EXPECT_EQ(*findValue(experiment.lanes[1].options, "sharing"), OptionValue(std::string("none")));
}

TEST(ExperimentToml, TheSmallestFileIsOneLane) {
    const Experiment experiment = Experiment::fromToml(kLane, "x.toml");
    EXPECT_EQ(experiment.steps, Experiment{}.steps);
    EXPECT_EQ(experiment.length(), 512);
    EXPECT_EQ(experiment.batch(), 8);
}

TEST(ExperimentToml, GoesRound) {
    Experiment experiment = Experiment::fromToml(kLane, "x.toml");
    experiment.title = "quotes \" ' \"\"\" \\ back\\slash\nnewline\ttab \r \x01 \x7F ünï€ \U0001F600 # = [x]";
    experiment.optimizer.learningRate = 0.1 + 0.2;
    experiment.optimizer.epsilon = 1e-9;
    experiment.model.layers = 2;
    experiment.lanes[0].name = "]]\n[[lane]]\n\"}";
    experiment.lanes.push_back({"k", "linformer", {{"k", std::vector<std::int64_t>{3, 5}}, {"sharing", "none"}}});
    setValue(experiment.task.options, "corpus", std::string("C:\\books\\\"x\".txt"));
    const std::string text = experiment.toToml();
    const Experiment again = Experiment::fromToml(text, "again.toml");
    EXPECT_EQ(again.toToml(), text);
    EXPECT_EQ(again.title, experiment.title);
    EXPECT_EQ(again.lanes[0].name, experiment.lanes[0].name);
    EXPECT_EQ(again.optimizer.learningRate, experiment.optimizer.learningRate);
    const auto fields = fieldsOf(experiment), fieldsAgain = fieldsOf(again);
    ASSERT_EQ(fields.size(), fieldsAgain.size());
    for (std::size_t i = 0; i < fields.size(); ++i) {
        EXPECT_EQ(fields[i].key, fieldsAgain[i].key);
        EXPECT_EQ(fields[i].value, fieldsAgain[i].value) << fields[i].key;
    }
}

TEST(ExperimentToml, WritesEveryDefault) {
    const std::string text = Experiment::fromToml(kLane, "x.toml").toToml();
    for (const char* entry : {"title = \"Untitled\"", "mask_fraction = 0.15", "mlp_ratio = 4", "epsilon = 1e-8",
                              "validate_every = 50", "keep = 2", "attention = { mechanism = \"full\" }"})
        EXPECT_THAT(text, HasSubstr(entry));
}

TEST(ExperimentToml, TheDefaultExperimentIsValid) {
    const auto path = std::filesystem::path(LINSCOPE_EXPERIMENTS) / "first_light" / "experiment.toml";
    const Experiment experiment = Experiment::fromFile(path);
    EXPECT_EQ(experiment.lanes.size(), 2u);
    EXPECT_EQ(experiment.length(), 512);
}

TEST(ExperimentToml, UnknownKeysAreNamedWithTheirLine) {
    EXPECT_EQ(errorAfterLane("[task]\nlenght = 3\n"), "[x.toml:5] task.lenght: unknown key; did you mean \"length\"?");
    EXPECT_EQ(errorAfterLane("[modle]\nlayers = 3\n"), "[x.toml:4] modle: unknown key; did you mean \"model\"?");
    EXPECT_EQ(errorOf("step = 3\n"), "[x.toml:1] step: unknown key; did you mean \"steps\"?");
    EXPECT_EQ(errorAfterLane("[optimizer]\nlearningRate = 1\n"),
              "[x.toml:5] optimizer.learningRate: unknown key; did you mean \"learning_rate\"?");
    EXPECT_EQ(errorOf("\n[[lane]]\nname = \"a\"\nattention = { mechanism = \"linformer\", sharin = \"none\" }"),
              "[x.toml:4] lane.0.attention.sharin: unknown key; did you mean \"sharing\"?");
    EXPECT_EQ(errorAfterLane("[[lane]]\nnaem = \"a\"\n"),
              "[x.toml:5] lane.1.naem: unknown key; did you mean \"name\"?");
    EXPECT_THAT(errorOf("\"a\\nb\" = 3"), StartsWith("[x.toml:1] \"a\\nb\": unknown key")) << "stays one line";
}

TEST(ExperimentToml, TheFirstUnknownKeyOfTheFileIsTheOneNamed) {
    EXPECT_THAT(errorAfterLane("[task]\nzebra = 1\napple = 2\n"), StartsWith("[x.toml:5] task.zebra"));
}

TEST(ExperimentToml, OptionsOfAnotherMechanismAreUnknown) {
    EXPECT_THAT(errorOf("[[lane]]\nname = \"a\"\nattention = { mechanism = \"full\", sharing = \"none\" }"),
                StartsWith("[x.toml:3] lane.0.attention.sharing: unknown key"));
}

TEST(ExperimentToml, WrongTypesAreNamedWithTheirLine) {
    EXPECT_EQ(errorOf("seed = \"one\""), "[x.toml:1] seed: expected an integer of at least 0, but found \"one\"");
    EXPECT_EQ(errorAfterLane("[task]\n\nlength = 5.5"),
              "[x.toml:6] task.length: expected an integer from 2 to 1048576 (tokens), but found 5.5");
    EXPECT_EQ(errorOf("task = 5"), "[x.toml:1] task: expected a section [task], but found 5");
    EXPECT_THAT(errorOf("title = 2024-01-01"), HasSubstr("title: expected UTF-8 text, but found a date or time"));
    EXPECT_THAT(errorOf("title = [1]"), HasSubstr("title: expected UTF-8 text, but found a list"));
    EXPECT_THAT(errorOf("[lane]\nname = \"a\""),
                HasSubstr("[x.toml:1] lane: expected sections with the header [[lane]]"));
    EXPECT_THAT(errorOf("lane = []"), HasSubstr("lane: expected"));
    EXPECT_EQ(errorOf("[[lane]]\nname = \"a\"\nattention = \"full\""),
              "[x.toml:3] lane.0.attention: expected a section { mechanism = \"full\" }, but found \"full\"");
    EXPECT_THAT(
        errorOf("[[lane]]\nname = \"a\"\nattention = { mechanism = \"linformer\", k = [1, \"2\"] }"),
        HasSubstr("[x.toml:3] lane.0.attention.k: expected integers in the list, one per layer, but found \"2\""));
}

// No default: who forgets it would be shown exact attention under the name of something else.
TEST(ExperimentToml, ALaneSaysItsMechanism) {
    for (const char* attention : {"", "attention = {}", "attention = { k = 4 }"})
        EXPECT_THAT(
            errorAfterLane(fmt::format("[[lane]]\nname = \"b\"\n{}", attention)),
            AllOf(StartsWith("[x.toml:"), HasSubstr("] lane.1.attention.mechanism: expected one of full, linformer"),
                  EndsWith("but the lane \"b\" has none")))
            << attention;
}

TEST(ExperimentToml, ValuesOutOfRangeAreNamedWithTheirLine) {
    EXPECT_THAT(errorOf("seed = -1"), StartsWith("[x.toml:1] seed: expected an integer of at least 0"));
    EXPECT_THAT(errorOf("steps = 0"), StartsWith("[x.toml:1] steps: expected an integer from 1"));
    for (const char* value : {"nan", "inf", "-1e-3", "11"})
        EXPECT_THAT(errorAfterLane(std::string("[optimizer]\nlearning_rate = ") + value),
                    StartsWith("[x.toml:5] optimizer.learning_rate: expected a number from 0 to 10, but found"))
            << value;
    EXPECT_THAT(errorAfterLane("[optimizer]\nbeta1 = 1.0"), HasSubstr("optimizer.beta1: expected a number"));
    EXPECT_THAT(errorAfterLane("[probes]\nevery = 0"), HasSubstr("probes.every: expected an integer from 1"));
    EXPECT_THAT(errorAfterLane("[model]\nkind = \"recurrent\""),
                HasSubstr("model.kind: expected one of encoder, decoder"));
}

TEST(ExperimentToml, UnknownTasksAndMechanismsNameTheKnown) {
    EXPECT_THAT(errorAfterLane("[task]\nname = \"masked_bites\""),
                AllOf(StartsWith("[x.toml:5] task.name: expected one of masked_bytes, next_byte, "),
                      EndsWith(", but found \"masked_bites\"; did you mean \"masked_bytes\"?")));
    EXPECT_THAT(errorOf("[[lane]]\nname = \"a\"\nattention = { mechanism = \"magic\" }"),
                StartsWith("[x.toml:3] lane.0.attention.mechanism: expected one of full, linformer"));
}

TEST(ExperimentToml, SyntaxErrorsNameTheirLine) {
    EXPECT_THAT(errorOf("seed = 1\nsteps = = 2\n"), StartsWith("[x.toml:2] expected TOML, but found: "));
    EXPECT_THAT(errorOf("seed = 1\nseed = 2\n"), StartsWith("[x.toml:2] expected TOML, but found: "));
    EXPECT_THAT(errorOf("title = \"\xE9\""), StartsWith("[x.toml:1] expected TOML, but found: "));
}

TEST(ExperimentToml, LanesAreOneToSixWithNamesThatDiffer) {
    EXPECT_THAT(errorOf("seed = 1"), HasSubstr("lane: expected 1 to 6 sections [[lane]], but found 0"));
    std::string six, seven;
    for (int i = 0; i < 7; ++i) {
        seven += fmt::format("[[lane]]\nname = \"{}\"\nattention = {{ mechanism = \"full\" }}\n", i);
        if (i == 5) six = seven;
    }
    EXPECT_EQ(errorOf(six), "no error");
    EXPECT_THAT(errorOf(seven), HasSubstr("lane: expected 1 to 6 sections [[lane]], but found 7"));
    EXPECT_EQ(errorAfterLane(kLane),
              "[x.toml:5] lane.1.name: expected a name that no other lane has, but found \"full\" again");
    EXPECT_THAT(errorAfterLane("[[lane]]\nattention = { mechanism = \"full\" }"),
                HasSubstr("[x.toml:4] lane.1.name: expected a name, but it is missing or empty"));
}

TEST(ExperimentToml, ChecksBetweenOptions) {
    EXPECT_EQ(errorAfterLane("[model]\nwidth = 128\nheads = 3"),
              "[x.toml:6] model.heads: expected a number that divides model.width = 128, but found 3");
    EXPECT_THAT(errorAfterLane("[probes]\nsamples = 9"),
                StartsWith("[x.toml:5] probes.samples: expected at most task.batch = 8"));
    const std::string linformer =
        "[task]\nlength = 32\n[[lane]]\nname = \"b\"\nattention = { mechanism = \"linformer\", ";
    EXPECT_THAT(errorAfterLane(linformer + "k = 33 }"),
                testing::AllOf(StartsWith("[x.toml:8] lane.1.attention: "), HasSubstr("33")));
    EXPECT_EQ(errorAfterLane(linformer + "k = 32 }"), "no error");
    EXPECT_EQ(
        errorAfterLane(linformer + "k = [8, 8, 8], sharing = \"none\" }"),
        "[x.toml:8] lane.1.attention.k: expected one integer or one for each of the 2 layers, but found 3 of them");
    EXPECT_EQ(errorAfterLane(linformer + "k = [8, 4], sharing = \"none\" }"), "no error");
}

TEST(ExperimentToml, ShortConvolutionsThatCannotBeAreNamed) {
    const auto errorWith = [](std::string_view model) { return errorAfterLane(fmt::format("[model]\n{}", model)); };
    EXPECT_EQ(errorWith("short_convolution = 3"), "no error");
    EXPECT_EQ(errorWith("kind = \"decoder\"\nshort_convolution = 4"), "no error");
    EXPECT_EQ(
        errorWith("short_convolution = 1"),
        "[x.toml:5] model.short_convolution: expected 0 or at least 2 taps, since one reaches no other token, but "
        "found 1");
    EXPECT_EQ(errorWith("short_convolution = 4"),
              "[x.toml:5] model.short_convolution: expected an odd number, since an encoder's convolution is centred, "
              "but found 4");
    EXPECT_THAT(errorWith("short_convolution = -1"), HasSubstr("model.short_convolution"));
    EXPECT_THAT(errorWith("short_convolution = 17"), HasSubstr("model.short_convolution"));
}

TEST(ExperimentToml, ModelsThatAMechanismCannotHaveAreNamedWithTheLane) {
    const auto errorWith = [](std::string_view model, std::string_view mechanism) {
        return errorOf(
            fmt::format("[model]\n{}\n[[lane]]\nname = \"full\"\nattention = {{ mechanism = \"full\" }}\n"
                        "[[lane]]\nname = \"b\"\nattention = {{ mechanism = \"{}\" }}\n",
                        model, mechanism));
    };
    EXPECT_EQ(errorWith("kind = \"decoder\"", "linformer"),
              "[x.toml:8] lane.1.attention: model.kind \"encoder\", but it is \"decoder\", and linformer has no causal "
              "form");
    EXPECT_EQ(
        errorWith("kind = \"encoder\"", "retention"),
        "[x.toml:8] lane.1.attention: model.kind \"decoder\", but it is \"encoder\", and retention runs forward in "
        "time only");
    EXPECT_EQ(
        errorWith("position = \"alibi\"", "linformer"),
        "[x.toml:8] lane.1.attention: a position scheme that linformer can have, but model.position is \"alibi\": a "
        "slot has no place, so that it has no distance from a query");
    EXPECT_EQ(errorWith("position = \"relative_bias\"", "linear"),
              "[x.toml:8] lane.1.attention: a position scheme that linear can have, but model.position is "
              "\"relative_bias\": a free bias for each distance cannot be split into features of query and key");
    EXPECT_EQ(errorWith("position = \"rotary\"", "linformer"), "no error");
    EXPECT_EQ(errorWith("kind = \"decoder\"\nposition = \"alibi\"", "linear"), "no error");
    EXPECT_EQ(errorWith("position = \"alibis\"", "full"),
              "[x.toml:2] model.position: expected one of none, learned, sinusoidal, rotary, alibi, relative_bias, but "
              "found \"alibis\"; did you mean \"alibi\"?");
}

TEST(ExperimentToml, PartsOfAHybridAreCheckedLikeLanes) {
    const auto errorWith = [](std::string_view model, std::string_view plan) {
        return errorOf(
            fmt::format("[model]\n{}\n[[lane]]\nname = \"a\"\n"
                        "attention = {{ mechanism = \"hybrid\", plan = \"{}\" }}\n",
                        model, plan));
    };
    EXPECT_EQ(errorWith("heads = 4", "full*1 + linformer(k=8)"), "no error");
    EXPECT_EQ(errorWith("kind = \"decoder\"", "full*1 + linformer(k=8)"),
              "[x.toml:5] lane.0.attention: model.kind \"encoder\", but it is \"decoder\", and linformer has no causal "
              "form");
    EXPECT_THAT(errorWith("heads = 4", "full*5"), StartsWith("[x.toml:5] lane.0.attention: plan: a count of heads"));
}

TEST(ExperimentToml, ModelsThatATaskCannotHaveAreNamed) {
    const auto errorWith = [](std::string_view task, std::string_view model) {
        return errorAfterLane(fmt::format("[task]\nname = \"{}\"\n[model]\n{}\n", task, model));
    };
    for (const char* task : {"next_byte", "needle"})
        EXPECT_EQ(
            errorWith(task, "kind = \"encoder\""),
            fmt::format("[x.toml:7] model.kind: expected \"decoder\", since an encoder would see what {} asks for, "
                        "but found \"encoder\"",
                        task));
    EXPECT_THAT(errorWith("next_byte", "layers = 2"), StartsWith("[x.toml:6] model.kind: expected \"decoder\""))
        << "a kind that is left out is told by its section";
    EXPECT_EQ(errorWith("next_byte", "kind = \"decoder\""), "no error");
    for (const char* task : {"listops", "folder_classes"}) {
        EXPECT_EQ(
            errorWith(task, "kind = \"decoder\"\npool = \"first\""),
            "[x.toml:8] model.pool: expected \"mean\", since a decoder's first token sees itself alone, but found "
            "\"first\"");
        EXPECT_EQ(errorWith(task, "kind = \"decoder\"\npool = \"mean\""), "no error");
        EXPECT_EQ(errorWith(task, "kind = \"encoder\"\npool = \"first\""), "no error");
    }
    EXPECT_EQ(errorWith("next_byte", "kind = \"decoder\"\npool = \"first\""), "no error") << "it pools nothing";
}

TEST(ExperimentToml, FilesThatCannotBeReadAreNamed) {
    const auto folder = std::filesystem::path(testing::TempDir()) / "linscope_experiment_test";
    std::filesystem::create_directories(folder);
    const auto error = [](const std::filesystem::path& path) -> std::string {
        try {
            Experiment::fromFile(path);
        } catch (const Error& caught) {
            return caught.what();
        }
        return "no error";
    };
    const auto missing = folder / "missing.toml";
    EXPECT_EQ(error(missing),
              fmt::format("[{}] an experiment file was expected, but there is no such file", missing.string()));
    std::filesystem::create_symlink("loop.toml", folder / "loop.toml");
    EXPECT_THAT(error(folder / "loop.toml"), HasSubstr("it cannot be read: Too many levels of symbolic links"));
    EXPECT_THAT(error(folder), HasSubstr("not a regular file"));
    EXPECT_THAT(error("/dev/zero"), HasSubstr("not a regular file"));
    const auto broken = folder / "broken.toml";
    std::ofstream(broken) << "steps = 5\n[task]\nlenght = 3\n";
    EXPECT_EQ(error(broken), fmt::format("[{}:3] task.lenght: unknown key; did you mean \"length\"?", broken.string()));
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace linscope
