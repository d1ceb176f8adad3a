#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/base/random.h"
#include "core/options/options.h"
#include "core/options/suggest.h"
#include "core/options/utf8.h"

namespace linscope {
namespace {

TEST(TomlText, WritesEachType) {
    EXPECT_EQ(toTomlText(true), "true");
    EXPECT_EQ(toTomlText(std::int64_t{-5}), "-5");
    EXPECT_EQ(toTomlText(std::vector<std::int64_t>{64, 32}), "[64, 32]");
    EXPECT_EQ(toTomlText(std::vector<std::int64_t>{64}), "64");
    EXPECT_EQ(toTomlText(std::string("a \"b\" \\ \n\t\r\x01\x7F ü")), R"("a \"b\" \\ \n\t\r\u0001\u007F ü")");
}

TEST(Utf8, WhatIsNoneIsEscaped) {
    EXPECT_EQ(asUtf8(""), "");
    EXPECT_EQ(asUtf8("a\tü€🙂"), "a\tü€🙂");
    EXPECT_EQ(asUtf8("\xff\xfe"
                     "a"),
              R"(\xff\xfea)");
    EXPECT_EQ(asUtf8("ü\xed\xa0\x80."), R"(ü\xed\xa0\x80.)");  // a surrogate
    EXPECT_EQ(asUtf8("cut \xe2\x82"), R"(cut \xe2\x82)");
}

TEST(TomlText, RealsAreShortAndStayReals) {
    EXPECT_EQ(toTomlText(1e-3), "0.001");
    EXPECT_EQ(toTomlText(1e-8), "1e-8");
    EXPECT_EQ(toTomlText(1.0), "1.0");
    EXPECT_EQ(toTomlText(-0.0), "-0.0");
    EXPECT_EQ(toTomlText(1e22), "1e22");
    EXPECT_EQ(toTomlText(1e-100), "1e-100");
    EXPECT_EQ(toTomlText(1.5e-10), "1.5e-10");
    EXPECT_EQ(toTomlText(0.1), "0.1");
}

TEST(TomlText, RealsReadBackAsTheSameNumber) {
    Random random(1, "reals");
    for (int i = 0; i < 10000; ++i) {
        const std::uint64_t bits = random.bits();
        double value;
        std::memcpy(&value, &bits, sizeof value);
        if (!std::isfinite(value)) continue;
        const std::string text = toTomlText(value);
        EXPECT_EQ(std::strtod(text.c_str(), nullptr), value) << text;
        EXPECT_NE(text.find_first_of(".e"), std::string::npos) << text;
    }
}

TEST(Suggest, FindsTypingErrorsAndNothingElse) {
    const std::vector<std::string> known{"length", "batch", "corpus", "k"};
    EXPECT_EQ(nearestName("lenght", known), "length");
    EXPECT_EQ(nearestName("batc", known), "batch");
    EXPECT_EQ(nearestName("Corpus", known), "corpus");
    EXPECT_EQ(nearestName("width", known), "");
    EXPECT_EQ(nearestName("q", known), "");
    EXPECT_EQ(nearestName("", known), "");
    EXPECT_EQ(nearestName(std::string(100000, 'x'), known), "");
    EXPECT_EQ(suggestion("x", {}), "there are none here");
}

TEST(Utf8, AcceptsWellFormedText) {
    EXPECT_TRUE(isUtf8(""));
    EXPECT_TRUE(isUtf8("plain ASCII of more than eight bytes"));
    EXPECT_TRUE(isUtf8("\u00e9 \u20ac \U0001F600 \U0010FFFF \uD7FF \uE000"));
}

TEST(Utf8, FindsTheFirstBadByte) {
    EXPECT_EQ(findInvalidUtf8("0123456789\xE9 x"), 10u);
    EXPECT_EQ(findInvalidUtf8("\x80"), 0u);
    EXPECT_EQ(findInvalidUtf8("a\xC0\x80"), 1u) << "overlong";
    EXPECT_EQ(findInvalidUtf8("\xE0\x80\x80"), 0u) << "overlong";
    EXPECT_EQ(findInvalidUtf8("\xF0\x80\x80\x80"), 0u) << "overlong";
    EXPECT_EQ(findInvalidUtf8("\xED\xA0\x80"), 0u) << "surrogate";
    EXPECT_EQ(findInvalidUtf8("\xF4\x90\x80\x80"), 0u) << "above U+10FFFF";
    EXPECT_EQ(findInvalidUtf8("\xF5\x80\x80\x80"), 0u);
    EXPECT_EQ(findInvalidUtf8("ab\xE2\x82"), 2u) << "cut off";
}

}  // namespace
}  // namespace linscope
