#include <gtest/gtest.h>

#include "core/base/shell_word.h"

namespace linscope {
namespace {

TEST(ShellWord, PlainNamesStayAsTheyAre) {
    EXPECT_EQ(shellWord("runs/first_light-2026-01-31.h5"), "runs/first_light-2026-01-31.h5");
}

TEST(ShellWord, WhatAShellWouldReadOtherwiseIsQuoted) {
    EXPECT_EQ(shellWord("my run.h5"), "'my run.h5'");
    EXPECT_EQ(shellWord("$(date)*;~"), "'$(date)*;~'");
    EXPECT_EQ(shellWord("it's"), "'it'\\''s'");
    EXPECT_EQ(shellWord("\u00fcber"), "'\u00fcber'");
    EXPECT_EQ(shellWord(""), "''");
}

}  // namespace
}  // namespace linscope
