#include "core/data/folder_classes/folder_classes.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "core/base/random.h"
#include "temp_folder.h"

namespace linscope {
namespace {

using testing::HasSubstr;

/// Twenty files of a, ten of b, with other letters.
void writeTwoClasses(const TempFolder& folder) {
    for (int i = 0; i < 20; ++i) folder.write(fmt::format("a/{}.txt", i), std::string(5 + i, 'x'));
    for (int i = 0; i < 10; ++i) folder.write(fmt::format("b/deep/{}.txt", i), std::string(5 + i, 'y'));
}

FolderClassesOptions optionsOf(const TempFolder& folder) {
    FolderClassesOptions options;
    options.corpus = folder.path().string();
    options.length = 16;
    options.batch = 4;
    options.validationFraction = 0.2;
    return options;
}

TEST(FolderClasses, SequencesBeginWithClsAndEndWithPaddingThatIsNotKept) {
    const TempFolder folder;
    writeTwoClasses(folder);
    FolderClasses task(optionsOf(folder), 1);
    EXPECT_EQ(task.outputs(), 2);
    EXPECT_THAT(task.classes(), testing::ElementsAre("a", "b"));
    Batch batch;
    for (int i = 0; i < 50; ++i) {
        if (i % 2)
            task.nextBatch(batch);
        else
            task.validationBatch(i, batch);
        ASSERT_EQ(batch.tokens.size(), 64u);
        ASSERT_EQ(batch.keep.size(), 64u);
        ASSERT_THAT(batch.selected, testing::ElementsAre(0, 16, 32, 48));
        ASSERT_EQ(batch.targets.size(), 4u);
        for (std::size_t b = 0; b < 4; ++b) {
            EXPECT_EQ(batch.tokens[16 * b], FolderClasses::kClsToken);
            bool padded = false;
            for (std::size_t t = 0; t < 16; ++t) {
                const std::int32_t token = batch.tokens[16 * b + t];
                padded = padded || token == FolderClasses::kPadToken;
                EXPECT_EQ(batch.keep[16 * b + t], padded ? 0.0f : 1.0f);
                if (t > 0 && !padded) {
                    EXPECT_EQ(token, batch.targets[b] == 0 ? 'x' : 'y');
                }
            }
        }
    }
}

TEST(FolderClasses, HoldsOutTheSameShareOfEachClassWhateverTheSeed) {
    const TempFolder folder;
    writeTwoClasses(folder);
    const FolderClasses one(optionsOf(folder), 1), two(optionsOf(folder), 2);
    const auto pathsOf = [](const FolderClasses& task) {
        std::map<std::int32_t, std::set<std::string>> paths;
        for (const auto& document : task.heldOut()) paths[document.label].insert(document.path);
        return paths;
    };
    EXPECT_EQ(pathsOf(one), pathsOf(two));
    EXPECT_EQ(pathsOf(one)[0].size(), 4u);
    EXPECT_EQ(pathsOf(one)[1].size(), 2u);
    EXPECT_EQ(one.training().size(), 24u);
    for (const auto& document : one.training()) EXPECT_FALSE(pathsOf(one)[document.label].contains(document.path));
}

TEST(FolderClasses, ValidationSeesEachHeldOutFileOnceInARound) {
    const TempFolder folder;
    writeTwoClasses(folder);
    FolderClassesOptions options = optionsOf(folder);
    options.batch = 3;
    const FolderClasses task(options, 1);
    ASSERT_EQ(task.heldOut().size(), 6u);
    Batch batch, again;
    std::map<std::int32_t, int> labels;
    for (int i = 0; i < 2; ++i) {
        task.validationBatch(i, batch);
        for (const std::int32_t label : batch.targets) ++labels[label];
    }
    EXPECT_EQ(labels[0], 4);
    EXPECT_EQ(labels[1], 2);
    task.validationBatch(0, batch);
    task.validationBatch(2, again);
    EXPECT_EQ(batch.tokens, again.tokens);
    EXPECT_THAT(errorOf([&] { task.validationBatch(-1, batch); }), HasSubstr("0 or more, but is -1"));
}

TEST(FolderClasses, TheCursorBringsTheSameBatchesBack) {
    const TempFolder folder;
    writeTwoClasses(folder);
    FolderClasses task(optionsOf(folder), 1), fresh(optionsOf(folder), 1);
    Batch batch, again;
    for (int i = 0; i < 5; ++i) task.nextBatch(batch);
    fresh.setCursor(task.cursor());
    task.nextBatch(batch);
    fresh.nextBatch(again);
    EXPECT_EQ(batch.tokens, again.tokens);
    EXPECT_EQ(batch.targets, again.targets);
}

TEST(FolderClasses, BaselinesAreWhatTheoryGives) {
    const TempFolder folder;
    writeTwoClasses(folder);
    const auto baselines = FolderClasses(optionsOf(folder), 1).baselines();
    ASSERT_EQ(baselines.size(), 2u);
    EXPECT_EQ(baselines[0].metric, "validation_accuracy");
    EXPECT_NEAR(baselines[0].value, 4.0 / 6, 1e-12);
    EXPECT_EQ(baselines[1].value, 1) << "the letters tell the class";
}

TEST(FolderClasses, NaiveBayesIsThatOfItsDefinition) {
    const TempFolder folder;
    Random random(1, "texts");
    for (int c = 0; c < 3; ++c)
        for (int i = 0; i < 150 + 50 * c; ++i) {
            std::string text;
            for (int at = 0; at < 12; ++at)
                text += static_cast<char>('a' + (random.below(4) == 0 ? c : random.below(5)));
            folder.write(fmt::format("{}/{}", c, i), text);
        }
    FolderClassesOptions options = optionsOf(folder);
    options.validationFraction = 0.4;
    const FolderClasses task(options, 1);
    const auto logOf = [&task](std::string_view text, std::int32_t label) {
        double files = 0, bytes = 256, sum = 0;
        std::map<char, double> counts;
        for (const auto& document : task.training()) {
            if (document.label != label) continue;
            ++files;
            bytes += static_cast<double>(document.text.size());
            for (const char c : document.text) ++counts[c];
        }
        for (const char c : text) sum += std::log((counts[c] + 1) / bytes);
        return sum + std::log(files);
    };
    double right = 0;
    for (const auto& document : task.heldOut()) {
        std::int32_t best = 0;
        for (std::int32_t label = 1; label < 3; ++label)
            if (logOf(document.text, label) > logOf(document.text, best)) best = label;
        right += best == document.label;
    }
    const double expected = right / static_cast<double>(task.heldOut().size());
    ASSERT_GT(task.heldOut().size(), 128u) << "more than are computed together";
    EXPECT_THAT(expected, testing::AllOf(testing::Gt(0.4), testing::Lt(0.95)));
    EXPECT_NEAR(task.baselines()[1].value, expected, 1e-12);
}

TEST(FolderClasses, CenturiesComeFromYearsInFileNames) {
    const TempFolder folder;
    for (const char* name : {"1790_a.txt", "1799.txt", "speech-1848.txt", "x/1801_b.txt", "12345.txt", "none.txt"})
        folder.write(name, "words");
    FolderClassesOptions options = optionsOf(folder);
    options.group = "century";
    const FolderClasses task(options, 1);
    EXPECT_THAT(task.classes(), testing::ElementsAre("1700s", "1800s"));
    EXPECT_THAT(task.description(), HasSubstr("4 files in 2 classes (1700s 2, 1800s 2), 2 held out; 2 files skipped: "
                                              "12345.txt (no year in its name), none.txt (no year in its name)"));
}

TEST(FolderClasses, SaysWhatIsWrong) {
    const TempFolder folder;
    const auto error = [&](FolderClassesOptions options) { return errorOf([&] { FolderClasses(options, 1); }); };
    FolderClassesOptions options = optionsOf(folder);
    EXPECT_THAT(error(options), HasSubstr("at least two classes were expected"));
    options.corpus = "";
    EXPECT_THAT(error(options), HasSubstr("task.corpus must name a folder"));
    options.corpus = (folder.path() / "absent").string();
    EXPECT_THAT(error(options), HasSubstr("is not there"));
    options = optionsOf(folder);
    folder.write("a/1.txt", "one");
    folder.write("a/2.txt", "two");
    folder.write("loose.txt", "nowhere");
    EXPECT_THAT(error(options), HasSubstr("but found one, \"a\"; 1 file skipped: loose.txt (in no class folder)"));
    folder.write("b/1.txt", "one");
    folder.write("b/2.txt", std::string("\0\1\2", 3));
    EXPECT_THAT(error(options), HasSubstr("\"b\" must have at least two files"));
    EXPECT_THAT(error(options), HasSubstr("b/2.txt (binary)"));
    folder.write("b/3.txt", "three");
    EXPECT_EQ(error(options), "no error");
    options.corpus = folder.write("file.txt", "text");
    EXPECT_THAT(error(options), HasSubstr("is none"));
}

TEST(FolderClasses, IsRegisteredAsPooled) {
    const TaskInfo& info = findTask("folder_classes");
    EXPECT_TRUE(info.pooled);
    EXPECT_FALSE(info.needsCausal);
}

TEST(FolderClasses, DigestIsOfWhatIsRead) {
    const TempFolder folder;
    writeTwoClasses(folder);
    const auto digest = [&] { return FolderClasses(optionsOf(folder), 1).dataDigest(); };
    const std::string first = digest();
    EXPECT_EQ(first.size(), 16U);
    folder.write("a/3.txt", std::string(8, 'x') + std::string(8, 'z'));  // the last of its bytes is cut off
    const std::string longer = digest();
    EXPECT_NE(longer, first);
    folder.write("a/3.txt", std::string(8, 'x') + std::string(7, 'z') + "y");
    EXPECT_EQ(digest(), longer);
    folder.write("c/one.txt", "w");
    folder.write("c/two.txt", "w");
    EXPECT_NE(digest(), longer);
}

}  // namespace
}  // namespace linscope
