#include "core/data/encoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace linscope {
namespace {

using namespace std::string_view_literals;
using testing::HasSubstr;

std::string utf16(std::string_view ascii, bool littleEndian) {
    std::string out;
    for (const char c : ascii) out += littleEndian ? std::string{c, '\0'} : std::string{'\0', c};
    return out;
}

TEST(Encoding, AcceptsUtf8) {
    EXPECT_FALSE(encodingProblem(""));
    EXPECT_FALSE(encodingProblem("plain\n"));
    EXPECT_FALSE(encodingProblem("\xEF\xBB\xBFmarked: caf\u00e9, \U0001F600"));
}

TEST(Encoding, NamesUtf16And32ByTheirMark) {
    EXPECT_EQ(encodingProblem("\xFF\xFEh\0i\0"sv)->charset, "UTF-16LE");
    EXPECT_EQ(encodingProblem("\xFE\xFF\0h\0i"sv)->charset, "UTF-16BE");
    EXPECT_EQ(encodingProblem("\xFF\xFE\0\0h\0\0\0"sv)->charset, "UTF-32LE");
    EXPECT_EQ(encodingProblem("\0\0\xFE\xFF\0\0\0h"sv)->charset, "UTF-32BE");
    EXPECT_EQ(encodingProblem("\xFF\xFEh\0"sv)->kind, "UTF-16");
    EXPECT_EQ(encodingProblem("\xFF\xFE\0\0h\0\0\0"sv)->kind, "UTF-32");
}

TEST(Encoding, NamesUtf16WithoutAMark) {
    EXPECT_EQ(encodingProblem(utf16("In the beginning", true))->charset, "UTF-16LE");
    EXPECT_EQ(encodingProblem(utf16("In the beginning", false))->charset, "UTF-16BE");
}

TEST(Encoding, ANulByteIsBinary) {
    const auto problem = encodingProblem("text and\0more text"sv);
    EXPECT_EQ(problem->kind, "binary");
    EXPECT_THAT(problem->found, HasSubstr("a NUL byte at byte 8"));
    EXPECT_EQ(problem->charset, "");
    EXPECT_EQ(encodingProblem("\x89PNG\r\n\x1A\n\0\0\0\rIHDR"sv)->kind, "binary");
}

TEST(Encoding, NamesEightBitText) {
    const auto latin = encodingProblem("caf\xE9 au lait");
    EXPECT_EQ(latin->charset, "ISO-8859-1");
    EXPECT_EQ(latin->found, "the byte 0xe9 at byte 3, as in ISO-8859-1 text");
    EXPECT_EQ(encodingProblem("\x93quoted\x94 caf\xE9")->charset, "WINDOWS-1252");
}

TEST(Encoding, AFileCutInsideACharacterIsNotAnotherEncoding) {
    const auto problem = encodingProblem("price: \xE2\x82");
    EXPECT_THAT(problem->found, HasSubstr("half a UTF-8 character at byte 7"));
    EXPECT_EQ(problem->charset, "UTF-8");
}

TEST(Encoding, DamagedUtf8IsNotAnotherEncoding) {
    const auto problem = encodingProblem("na\u00efve caf\u00e9s, \u20ac 5 \xED\xA0 and more");
    EXPECT_EQ(problem->found, "the byte 0xed at byte 21, amid UTF-8");
    EXPECT_EQ(problem->charset, "UTF-8");
    EXPECT_EQ(encodingProblem("d\xE9j\xE0 vu \xC9\xBB")->charset, "ISO-8859-1") << "one character by chance";
}

TEST(Encoding, NoLatinEncodingIsGuessedForOtherScripts) {
    for (const char* text : {"\xD0\xD2\xC9\xD7\xC5\xD4, \xCD\xC9\xD2\n",            // KOI8-R
                             "\xC4\xE3\xBA\xC3\xA3\xAC\xCA\xC0\xBD\xE7\n",          // GBK
                             "\x82\xB1\x82\xF1\x82\xC9\x82\xBF\x82\xCD test\n"}) {  // Shift JIS
        const auto problem = encodingProblem(text);
        EXPECT_EQ(problem->kind, "not UTF-8");
        EXPECT_EQ(problem->charset, "") << text;
        EXPECT_THAT(problem->found, HasSubstr("at byte 0, as in another encoding"));
    }
}

TEST(Encoding, BinaryWithoutNulIsNotCalledText) {
    std::string bytes;
    for (int i = 0; i < 1000; ++i) bytes += static_cast<char>(1 + i * 97 % 255);
    EXPECT_EQ(encodingProblem(bytes)->kind, "binary");
}

TEST(Encoding, NormalisesMarkAndLineEnds) {
    const auto normalised = [](std::string text) {
        normaliseText(text);
        return text;
    };
    EXPECT_EQ(normalised("a\nb"), "a\nb");
    EXPECT_EQ(normalised("\xEF\xBB\xBF"
                         "a\r\nb\r\n"),
              "a\nb\n");
    EXPECT_EQ(normalised("\xEF\xBB\xBF"), "");
    EXPECT_EQ(normalised("a\rb\r\r\n\r"), "a\rb\r\n\r") << "only CR LF is a line end";
    EXPECT_EQ(normalised("a\xEF\xBB\xBF"), "a\xEF\xBB\xBF") << "a mark is one only at the start";
}

}  // namespace
}  // namespace linscope
