#include "core/options/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.h"

namespace linscope {
namespace {

using testing::HasSubstr;

struct Sample {
    bool bias = true;
    std::int64_t slots = 64;
    double rate = 1e-3;
    std::string title = "none";
    std::string sharing = "layerwise";
    std::vector<std::int64_t> k{64};
    void visit(OptionVisitor& visitor) {
        visitor.flag({"bias", "", "Adds a bias."}, bias);
        visitor.integer({"slots", "slots", ""}, slots, {1, 128});
        visitor.real({"rate", "", ""}, rate, {0, 1});
        visitor.text({"title", "", ""}, title);
        visitor.choice({"sharing", "", ""}, sharing, {"none", "headwise", "layerwise"});
        visitor.perLayer({"k", "", ""}, k, {.minimum = 1});
    }
};

std::string errorOf(const OptionValues& values) {
    try {
        optionsFrom<Sample>(values, "sample");
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

std::string parseError(std::string_view name, std::string_view text) {
    try {
        parseValue(*findSpec(specsOf<Sample>(), name), text, "sample");
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

OptionValue parsed(std::string_view name, std::string_view text) {
    return parseValue(*findSpec(specsOf<Sample>(), name), text, "sample");
}

TEST(Options, SpecsTellNamesTypesDefaultsAndRanges) {
    const auto specs = specsOf<Sample>();
    ASSERT_EQ(specs.size(), 6u);
    EXPECT_EQ(specs[0].name, "bias");
    EXPECT_EQ(specs[0].type, OptionType::Flag);
    EXPECT_EQ(specs[0].help, "Adds a bias.");
    EXPECT_EQ(specs[1].standard, OptionValue(std::int64_t{64}));
    EXPECT_EQ(specs[1].minimum, 1);
    EXPECT_EQ(specs[1].maximum, 128);
    EXPECT_EQ(specs[1].unit, "slots");
    EXPECT_EQ(specs[4].type, OptionType::Choice);
    EXPECT_EQ(specs[4].choices.size(), 3u);
    EXPECT_EQ(specs[5].type, OptionType::PerLayer);
}

TEST(Options, ValuesGoRound) {
    Sample sample;
    sample.bias = false;
    sample.slots = 7;
    sample.rate = 0.25;
    sample.title = "x";
    sample.sharing = "none";
    sample.k = {3, 4};
    const OptionValues values = valuesOf(sample);
    EXPECT_EQ(valuesOf(optionsFrom<Sample>(values, "sample")), values);
    EXPECT_NE(valuesOf(Sample{}), values);
}

TEST(Options, WhatIsNotGivenKeepsItsDefault) {
    const auto sample = optionsFrom<Sample>({{"slots", std::int64_t{5}}}, "sample");
    EXPECT_EQ(sample.slots, 5);
    EXPECT_EQ(sample.rate, 1e-3);
    EXPECT_EQ(sample.k, std::vector<std::int64_t>{64});
}

TEST(Options, AnIntegerServesAsRealAndAsListOfOne) {
    const auto sample = optionsFrom<Sample>({{"rate", std::int64_t{1}}, {"k", std::int64_t{8}}}, "sample");
    EXPECT_EQ(sample.rate, 1.0);
    EXPECT_EQ(sample.k, std::vector<std::int64_t>{8});
}

TEST(Options, UnknownNamesAreRefusedWithTheNearest) {
    EXPECT_EQ(errorOf({{"slost", std::int64_t{5}}}), "[sample] slost: unknown key; did you mean \"slots\"?");
    EXPECT_EQ(errorOf({{"zzzzzz", std::int64_t{5}}}),
              "[sample] zzzzzz: unknown key; known are: bias, slots, rate, title, sharing, k");
}

TEST(Options, WrongTypesAreRefused) {
    EXPECT_EQ(errorOf({{"slots", 5.0}}), "[sample] slots: expected an integer from 1 to 128 (slots), but found 5.0");
    EXPECT_EQ(errorOf({{"bias", std::int64_t{1}}}), "[sample] bias: expected true or false, but found 1");
    EXPECT_EQ(errorOf({{"rate", std::string("fast")}}),
              "[sample] rate: expected a number from 0 to 1, but found \"fast\"");
    EXPECT_THAT(errorOf({{"title", true}}), HasSubstr("title: expected UTF-8 text, but found true"));
    EXPECT_THAT(errorOf({{"sharing", std::int64_t{1}}}), HasSubstr("expected one of none, headwise, layerwise"));
    EXPECT_THAT(errorOf({{"k", 1.5}}), HasSubstr("k: expected an integer of at least 1 or a list of such"));
}

TEST(Options, ValuesOutOfRangeAreRefused) {
    EXPECT_THAT(errorOf({{"slots", std::int64_t{0}}}), HasSubstr("from 1 to 128 (slots), but found 0"));
    EXPECT_THAT(errorOf({{"slots", std::int64_t{129}}}), HasSubstr("but found 129"));
    EXPECT_EQ(errorOf({{"slots", std::int64_t{128}}}), "no error");
    EXPECT_THAT(errorOf({{"rate", std::nan("")}}), HasSubstr("but found nan"));
    EXPECT_THAT(errorOf({{"rate", HUGE_VAL}}), HasSubstr("but found inf"));
    EXPECT_THAT(errorOf({{"k", std::vector<std::int64_t>{4, 0}}}), HasSubstr("but found [4, 0]"));
    EXPECT_THAT(errorOf({{"k", std::vector<std::int64_t>{}}}), HasSubstr("but found []"));
    EXPECT_THAT(errorOf({{"title", std::string("a\xE9")}}), HasSubstr("not UTF-8 at byte 1"));
}

TEST(Options, ABadChoiceNamesTheNearest) {
    EXPECT_EQ(errorOf({{"sharing", std::string("layerwse")}}),
              "[sample] sharing: expected one of none, headwise, layerwise, but found \"layerwse\"; did you mean "
              "\"layerwise\"?");
}

TEST(Options, ParsesText) {
    EXPECT_EQ(parsed("bias", "false"), OptionValue(false));
    EXPECT_EQ(parsed("slots", " 64 "), OptionValue(std::int64_t{64}));
    EXPECT_EQ(parsed("slots", "+64"), OptionValue(std::int64_t{64}));
    EXPECT_EQ(parsed("rate", "1e-3"), OptionValue(1e-3));
    EXPECT_EQ(parsed("rate", "1"), OptionValue(1.0));
    EXPECT_EQ(parsed("title", " \"as it is\" "), OptionValue(std::string(" \"as it is\" ")));
    EXPECT_EQ(parsed("sharing", "none"), OptionValue(std::string("none")));
    EXPECT_EQ(parsed("k", "[64, 32]"), OptionValue(std::vector<std::int64_t>{64, 32}));
    EXPECT_EQ(parsed("k", "64,32"), OptionValue(std::vector<std::int64_t>{64, 32}));
    EXPECT_EQ(parsed("k", "64"), OptionValue(std::vector<std::int64_t>{64}));
}

TEST(Options, RefusesTextThatIsNoValue) {
    for (const char* text : {"", "abc", "6.5", "64x", "0x10", "+-3", "99999999999999999999", "6 4"})
        EXPECT_THAT(parseError("slots", text), HasSubstr("[sample] slots: expected an integer")) << text;
    for (const char* text : {"", "nan", "inf", "-inf", "1e999", "1,5", "2"})
        EXPECT_THAT(parseError("rate", text), HasSubstr("[sample] rate: expected a number")) << text;
    for (const char* text : {"", "[", "]", "[]", "[1", "1]", "[1,]", "[1 2]", "[0]", "1,,2"})
        EXPECT_THAT(parseError("k", text), HasSubstr("[sample] k: expected an integer")) << text;
    for (const char* text : {"", "yes", "1", "True"})
        EXPECT_THAT(parseError("bias", text), HasSubstr("expected true or false")) << text;
}

TEST(Options, PlainTextIsWhatParsingReads) {
    for (const auto& spec : specsOf<Sample>())
        EXPECT_EQ(parseValue(spec, toPlainText(spec.standard), "sample"), spec.standard) << spec.name;
}

}  // namespace
}  // namespace linscope
