#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/experiment/experiment.h"

namespace linscope {
namespace {

using testing::HasSubstr;

Experiment twins() {
    Experiment experiment;
    experiment.lanes = {{"full", "full", {}}, {"linformer", "linformer", {}}};
    return experiment;
}

std::string setError(std::string_view key, std::string_view text) {
    Experiment experiment = twins();
    try {
        experiment.set(key, text);
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

std::string validateError(const Experiment& experiment) {
    try {
        experiment.validate();
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

OptionValue fieldValue(const Experiment& experiment, std::string_view key) {
    for (const ExperimentField& field : fieldsOf(experiment))
        if (field.key == key) return field.value;
    ADD_FAILURE() << "no field " << key;
    return false;
}

TEST(ExperimentFields, AreAllInTheOrderOfTheFile) {
    std::vector<std::string> keys;
    for (const ExperimentField& field : fieldsOf(twins())) keys.push_back(field.key);
    const std::vector<std::string> start{"title", "seed", "steps", "task.name", "task.corpus", "task.length"};
    ASSERT_GT(keys.size(), start.size());
    EXPECT_EQ(std::vector<std::string>(keys.begin(), keys.begin() + 6), start);
    const std::vector<std::string> end{"lane.0.name",        "lane.0.attention.mechanism",
                                       "lane.1.name",        "lane.1.attention.mechanism",
                                       "lane.1.attention.k", "lane.1.attention.sharing"};
    EXPECT_THAT(keys, testing::IsSupersetOf(end));
    EXPECT_THAT(keys, testing::IsSupersetOf({"model.mlp_ratio", "optimizer.learning_rate", "probes.validate_every",
                                             "checkpoint.keep", "task.validation_fraction"}));
}

TEST(ExperimentSet, SetsEveryFieldToItsOwnText) {
    const Experiment before = twins();
    Experiment experiment = before;
    for (const ExperimentField& field : fieldsOf(before)) experiment.set(field.key, toPlainText(field.value));
    EXPECT_EQ(experiment.toToml(), before.toToml());
}

TEST(ExperimentSet, SetsOneFieldAndNoOther) {
    const std::vector<std::pair<std::string, std::string>> changes{{"title", "new \"title\""},
                                                                   {"seed", "9"},
                                                                   {"steps", "12"},
                                                                   {"task.length", "256"},
                                                                   {"task.corpus", "a b.txt"},
                                                                   {"model.heads", "8"},
                                                                   {"optimizer.learning_rate", "3e-4"},
                                                                   {"probes.every", "3"},
                                                                   {"checkpoint.every", "0"},
                                                                   {"lane.0.name", "exact"},
                                                                   {"lane.1.attention.k", "32"},
                                                                   {"lane.1.attention.sharing", "none"}};
    for (const auto& [key, text] : changes) {
        Experiment experiment = twins();
        experiment.set(key, text);
        for (const ExperimentField& field : fieldsOf(experiment)) {
            if (field.key == key) continue;
            EXPECT_EQ(field.value, fieldValue(twins(), field.key)) << key << " changed " << field.key;
        }
        EXPECT_NE(fieldValue(experiment, key), fieldValue(twins(), key)) << key;
        EXPECT_EQ(validateError(experiment), "no error");
    }
}

TEST(ExperimentSet, ANewMechanismGetsItsOwnOptions) {
    Experiment experiment = twins();
    experiment.set("lane.1.attention.k", "32");
    experiment.set("lane.1.attention.mechanism", "full");
    EXPECT_EQ(validateError(experiment), "no error");
    EXPECT_TRUE(experiment.lanes[1].options.empty());
    experiment.set("lane.0.attention.mechanism", "linformer");
    experiment.set("lane.0.attention.k", "16");
    EXPECT_EQ(fieldValue(experiment, "lane.0.attention.k"), OptionValue(std::vector<std::int64_t>{16}));
}

TEST(ExperimentSet, RefusesWithTheKeyAndWhatWasExpected) {
    EXPECT_EQ(setError("task.lenght", "3"), "[experiment] task.lenght: unknown key; did you mean \"task.length\"?");
    EXPECT_EQ(setError("task.length", "long"),
              "[experiment] task.length: expected an integer from 2 to 1048576 (tokens), but found \"long\"");
    EXPECT_THAT(setError("optimizer.learning_rate", "nan"), HasSubstr("optimizer.learning_rate: expected a number"));
    EXPECT_THAT(setError("seed", "-1"), HasSubstr("seed: expected an integer of at least 0, but found -1"));
    EXPECT_THAT(setError("task.name", "x"), HasSubstr("task.name: expected one of masked_bytes"));
    EXPECT_EQ(setError("lane.2.name", "x"),
              "[experiment] lane.2.name: there is no lane \"2\"; the experiment has 2 lanes, counted from 0");
    for (const char* key : {"lane.-1.name", "lane.x.name", "lane..name", "lane.", "lane.99999999999999999999.name"})
        EXPECT_THAT(setError(key, "x"), HasSubstr("the experiment has 2 lanes")) << key;
    EXPECT_EQ(
        setError("lane.0.attention.k", "3"),
        "[experiment] lane.0.attention.k: unknown key, not an option of the mechanism \"full\"; known are: mechanism");
    for (const char* key : {"", ".", "task", "task.", "lane", "model.layers.x"})
        EXPECT_THAT(setError(key, "x"), HasSubstr("unknown key")) << key;
}

TEST(ExperimentSet, AFailedSetChangesNothing) {
    Experiment experiment = twins();
    EXPECT_THROW(experiment.set("model.width", "x"), Error);
    EXPECT_THROW(experiment.set("lane.1.attention.k", "[]"), Error);
    EXPECT_EQ(experiment.toToml(), twins().toToml());
}

TEST(ExperimentValidate, FindsWhatNoSingleOptionCanSay) {
    Experiment experiment = twins();
    EXPECT_EQ(validateError(experiment), "no error");
    experiment.set("model.heads", "3");
    EXPECT_EQ(validateError(experiment),
              "[experiment] model.heads: expected a number that divides model.width = 128, but found 3");
    experiment = twins();
    experiment.set("lane.1.attention.k", "513");
    EXPECT_THAT(validateError(experiment), HasSubstr("[experiment] lane.1.attention: "));
    experiment = twins();
    experiment.set("lane.1.name", "full");
    EXPECT_THAT(validateError(experiment), HasSubstr("lane.1.name: expected a name that no other lane has"));
    for (const char* empty : {"", " ", "\t\n"}) {
        experiment.set("lane.1.name", empty);
        EXPECT_THAT(validateError(experiment), HasSubstr("lane.1.name: expected a name, but it is missing or empty"));
    }
}

TEST(ExperimentValidate, ChecksWhatWasWrittenInCode) {
    Experiment experiment = twins();
    experiment.lanes[0].options = {{"k", std::int64_t{3}}};
    EXPECT_THAT(validateError(experiment), HasSubstr("lane.0.attention.k: unknown key"));
    experiment = twins();
    experiment.steps = 0;
    EXPECT_THAT(validateError(experiment), HasSubstr("steps: expected an integer from 1"));
    experiment = twins();
    experiment.optimizer.epsilon = 0;
    EXPECT_THAT(validateError(experiment), HasSubstr("optimizer.epsilon: expected a number"));
    experiment = twins();
    experiment.model.heads = 0;
    EXPECT_THAT(validateError(experiment), HasSubstr("model.heads: expected an integer")) << "no division by zero";
    experiment = twins();
    experiment.lanes[1].mechanism = "magic";
    EXPECT_THAT(validateError(experiment), HasSubstr("lane.1.attention.mechanism: expected one of"));
    experiment = twins();
    experiment.title = "\xFF";
    EXPECT_THAT(validateError(experiment), HasSubstr("title: expected UTF-8 text"));
}

}  // namespace
}  // namespace linscope
