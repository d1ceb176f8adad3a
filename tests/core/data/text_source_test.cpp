#include "core/data/text_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "temp_folder.h"

namespace linscope {
namespace {

using namespace std::string_view_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
namespace fs = std::filesystem;

std::string loadError(std::string_view corpus, std::int64_t mostBytes = kLargestCorpus) {
    return errorOf([&] { loadText(corpus, mostBytes); });
}

TEST(TextSource, ReadsAFile) {
    TempFolder folder;
    const std::string file = folder.write("a.txt", "\xEF\xBB\xBFone\r\ntwo caf\u00e9");
    const TextSource source = loadText(file);
    EXPECT_EQ(source.text, "one\ntwo caf\u00e9");
    EXPECT_EQ(source.lines, 2);
    EXPECT_EQ(source.summary(), file + ": 13 bytes, 2 lines");
    EXPECT_EQ(source.skippedNote(), "");
}

TEST(TextSource, ARelativePathIsRelativeToTheWorkingDirectory) {
    TempFolder folder;
    folder.write("a.txt", "here");
    const fs::path before = fs::current_path();
    fs::current_path(folder.path());
    const std::string text = loadText("a.txt").text;
    fs::current_path(before);
    EXPECT_EQ(text, "here");
}

TEST(TextSource, MissingFilesAreNamed) {
    EXPECT_EQ(loadError("no/such.txt"),
              "[corpus] a named corpus (bible-kjv), a text file or a folder was expected, but there is no file "
              "\"no/such.txt\" in " +
                  fs::current_path().string());
    EXPECT_THAT(loadError("/no/such.txt"), testing::EndsWith("there is no file \"/no/such.txt\""));
    EXPECT_THAT(loadError("~/such.txt"), HasSubstr("write the home folder's own path in place of ~"));
    EXPECT_THAT(loadError("bibel-kjv"), HasSubstr("did you mean \"bible-kjv\"?"));
    EXPECT_THAT(loadError(""), HasSubstr("but found nothing"));
    EXPECT_THAT(loadError("a\0b"sv), HasSubstr("NUL byte"));
    EXPECT_THAT(loadError(std::string(10000, 'x')), HasSubstr("was expected, but"));
}

TEST(TextSource, AnEmptyFileIsRefused) {
    TempFolder folder;
    EXPECT_THAT(loadError(folder.write("empty.txt", "")), AllOf(StartsWith("[corpus] "), HasSubstr("is empty")));
    EXPECT_THAT(loadError(folder.write("mark.txt", "\xEF\xBB\xBF")), HasSubstr("is empty"));
}

TEST(TextSource, OtherEncodingsAreRefusedWithTheMend) {
    TempFolder folder;
    const std::string latin = folder.write("latin.txt", "caf\xE9 au lait");
    EXPECT_EQ(loadError(latin), "[corpus] UTF-8 text was expected, but \"" + latin +
                                    "\" has the byte 0xe9 at byte 3, as in ISO-8859-1 text; convert it: iconv -f "
                                    "ISO-8859-1 -t UTF-8 " +
                                    latin + " > utf8.txt");
    EXPECT_THAT(loadError(folder.write("it's.txt", "caf\xE9 au lait")), HasSubstr("it'\\''s.txt' > utf8.txt"));
    EXPECT_THAT(loadError(folder.write("wide.txt", "\xFF\xFEh\0i\0"sv)),
                AllOf(HasSubstr("the byte order mark of UTF-16LE at byte 0"), HasSubstr("iconv -f UTF-16LE -t UTF-8")));
    EXPECT_THAT(loadError(folder.write("koi8.txt", "\xD0\xD2\xC9\xD7\xC5\xD4")),
                HasSubstr("iconv -f ITS-ENCODING -t UTF-8"));
    EXPECT_THAT(loadError(folder.write("cut.txt", "caf\u00e9 \xE2\x82")), HasSubstr("iconv -c -f UTF-8 -t UTF-8"));
    EXPECT_THAT(loadError(folder.write("x.bin", "ab\0cd"sv)),
                AllOf(HasSubstr("binary data (a NUL byte at byte 2)"), HasSubstr("give a text file")));
}

TEST(TextSource, WhatIsNoFileIsRefusedWithoutWaiting) {
    TempFolder folder;
    const std::string fifo = (folder.path() / "fifo").string();
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_THAT(loadError(fifo), HasSubstr("is neither"));
    EXPECT_THAT(loadError("/dev/zero"), HasSubstr("is neither"));
    const fs::path loop = folder.path() / "loop";
    fs::create_symlink(loop, loop);
    EXPECT_THAT(loadError(loop.string()), HasSubstr("but \"" + loop.string() + "\" is neither"));
}

TEST(TextSource, TooMuchTextIsRefused) {
    TempFolder folder;
    const std::string file = folder.write("a.txt", "12345");
    EXPECT_EQ(loadText(file, 5).text, "12345");
    EXPECT_EQ(loadError(file, 4),
              "[corpus] at most 4 bytes of text can be read, but \"" + file + "\" has more; give a part of it");
    folder.write("b.txt", "12345");
    EXPECT_EQ(loadText(folder.path().string(), 11).text, "12345\n12345");
    EXPECT_THAT(loadError(folder.path().string(), 10), HasSubstr("at most 10 bytes"));
    const std::string huge = folder.write("huge.txt", "x");
    fs::resize_file(huge, std::uintmax_t{3} << 30);  // sparse: it takes no room
    EXPECT_THAT(loadError(huge), HasSubstr("at most 2.15 GB"));
}

TEST(TextSource, AFolderIsReadInTheOrderOfItsPaths) {
    TempFolder folder;
    folder.write("b.txt", "bee\n");
    folder.write("a/z.txt", "zed");
    folder.write("a.txt", "ay\r\n");
    folder.write("a/b/c.txt", "\xEF\xBB\xBFsea");
    const TextSource source = loadText(folder.path().string());
    EXPECT_EQ(source.text, "ay\n\nsea\nzed\nbee\n") << "'.' comes before '/'";
    EXPECT_EQ(source.files, 4);
    EXPECT_THAT(source.summary(), HasSubstr("in 4 files"));
    EXPECT_TRUE(source.skipped.empty());
}

TEST(TextSource, AFolderSkipsWhatIsNoTextAndSaysSo) {
    TempFolder folder;
    folder.write("good.txt", "good");
    folder.write("a.png", "\x89PNG\r\n\x1A\n\0\0\0\rIHDR"sv);
    folder.write("empty.txt", "");
    folder.write("latin.txt", "caf\xE9");
    folder.write("wide.txt", "\xFE\xFF\0h\0i"sv);
    folder.write(".git/config", "hidden");
    ASSERT_EQ(::mkfifo((folder.path() / "fifo").c_str(), 0600), 0);
    fs::create_symlink(folder.path(), folder.path() / "loop");
    fs::create_symlink("nowhere", folder.path() / "broken");
    fs::create_symlink("self", folder.path() / "self");
    fs::create_symlink("good.txt", folder.path() / "link.txt");
    const TextSource source = loadText(folder.path().string());
    EXPECT_EQ(source.text, "good\ngood") << "the file and the link to it";
    std::vector<std::string> skipped;
    for (const SkippedFile& file : source.skipped) skipped.push_back(file.path + ": " + file.reason);
    EXPECT_THAT(skipped, testing::ElementsAre(".git: hidden", "a.png: binary", "broken: broken link",
                                              "empty.txt: empty", "fifo: not a regular file", "latin.txt: not UTF-8",
                                              "loop: link to a folder", "self: broken link", "wide.txt: UTF-16"));
    EXPECT_EQ(source.skippedNote(),
              "9 files skipped: .git (hidden), a.png (binary), broken (broken link), empty.txt (empty), fifo (not a "
              "regular file) and 4 more");
}

TEST(TextSource, UnreadableFilesInAFolderAreSkipped) {
    if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
    TempFolder folder;
    folder.write("good.txt", "good");
    folder.write("closed/a.txt", "never");
    const std::string file = folder.write("secret.txt", "secret");
    fs::permissions(file, fs::perms::none);
    fs::permissions(folder.path() / "closed", fs::perms::none);
    const TextSource source = loadText(folder.path().string());
    fs::permissions(folder.path() / "closed", fs::perms::owner_all);
    EXPECT_EQ(source.text, "good");
    EXPECT_EQ(source.skippedNote(), "2 files skipped: closed (unreadable), secret.txt (unreadable)");
    EXPECT_THAT(loadError(file), HasSubstr("a readable text file was expected"));
}

TEST(TextSource, AFolderWithNothingToReadIsRefused) {
    TempFolder folder;
    EXPECT_EQ(loadError(folder.path().string()),
              "[corpus] text files were expected, but the folder \"" + folder.path().string() + "\" has none");
    folder.write("a.bin", "\0"sv);
    EXPECT_THAT(loadError(folder.path().string()), HasSubstr("has none; 1 file skipped: a.bin (binary)"));
}

TEST(TextSource, ReadsAFolderOfRealTexts) {
    const char* variable = std::getenv("LINSCOPE_TEST_DATA");
    const fs::path data = fs::path(variable ? variable : LINSCOPE_TEST_DATA) / "sotu";
    if (!fs::is_directory(data)) GTEST_SKIP() << "no real texts at " << data << "; set LINSCOPE_TEST_DATA";
    const TextSource source = loadText(data.string());
    EXPECT_EQ(source.files, 233);
    EXPECT_TRUE(source.skipped.empty()) << source.skippedNote();
    std::uintmax_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(data)) bytes += entry.file_size();
    EXPECT_LE(source.text.size(), bytes + 232);
    EXPECT_GT(source.text.size(), bytes / 2);
    EXPECT_THAT(source.text, StartsWith("Fellow"));
    EXPECT_EQ(loadText(data.string()).text, source.text);
}

}  // namespace
}  // namespace linscope
