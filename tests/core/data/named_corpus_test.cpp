#include "core/data/named_corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/data/text_source.h"
#include "temp_folder.h"

namespace linscope {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// A search path with nothing on it but what the test puts there.
class OtherPath {
public:
    explicit OtherPath(const std::filesystem::path& path) : m_before(std::getenv("PATH")) {
        ::setenv("PATH", path.c_str(), 1);
    }
    ~OtherPath() { ::setenv("PATH", m_before.c_str(), 1); }
    OtherPath(const OtherPath&) = delete;
    OtherPath& operator=(const OtherPath&) = delete;

private:
    std::string m_before;
};

std::string errorWithProgram(const char* script) {
    TempFolder folder;
    if (script) {
        const std::string file = folder.write("bible", script);
        std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    }
    OtherPath path(folder.path());
    return errorOf([] { loadText("bible-kjv"); });
}

TEST(NamedCorpus, AMissingProgramIsNamedWithItsPackages) {
    EXPECT_EQ(
        errorWithProgram(nullptr),
        "[corpus] \"bible-kjv\" is printed by the program \"bible\", but it is not installed; install it: sudo apt "
        "install bible-kjv bible-kjv-text");
}

TEST(NamedCorpus, AFailingProgramIsAnError) {
    EXPECT_THAT(errorWithProgram("#!/bin/sh\necho 'no data' >&2\nexit 3\n"),
                AllOf(HasSubstr("it failed (exit status 3): it says: no data"), HasSubstr("reinstall")));
    EXPECT_THAT(errorWithProgram("#!/bin/sh\nkill -9 $$\n"), HasSubstr("it failed (signal 9): it printed no message"));
}

TEST(NamedCorpus, AnotherNumberOfLinesIsAnError) {
    EXPECT_THAT(errorWithProgram("#!/bin/sh\necho Ge1:1\n"),
                HasSubstr("was expected to have 31102 lines, but the program \"bible\" printed 1"));
    EXPECT_THAT(errorWithProgram("#!/bin/sh\n"), HasSubstr("printed 0"));
}

TEST(NamedCorpus, MuchOnBothStreamsDoesNotBlock) {
    EXPECT_THAT(errorWithProgram("#!/bin/sh\ni=0\nwhile [ $i -lt 3000 ]; do\n"
                                 "  echo '0123456789012345678901234567890123456789012345678901234567890123456789'\n"
                                 "  echo '0123456789012345678901234567890123456789012345678901234567890123456789' >&2\n"
                                 "  i=$((i+1))\ndone\n"),
                HasSubstr("printed 3000"));
}

TEST(NamedCorpus, ReadsTheBible) {
    if (std::system("command -v bible > /dev/null") != 0) GTEST_SKIP() << "the program \"bible\" is not installed";
    const TextSource source = loadText("bible-kjv");
    EXPECT_EQ(source.lines, 31102);
    EXPECT_THAT(source.text, testing::StartsWith("Ge1:1 In the beginning God created the heaven and the earth."));
    EXPECT_EQ(source.summary(), "bible-kjv: 4.4 MB, 31 102 lines");
}

}  // namespace
}  // namespace linscope
