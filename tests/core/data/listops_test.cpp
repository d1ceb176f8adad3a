#include "core/data/listops/listops.h"

#include <gmock/gmock.h>

#include <map>
#include <sstream>

#include "synthetic_task_check.h"

namespace linscope {
namespace {

using testing::HasSubstr;

std::vector<std::int32_t> parse(const std::string& text) {
    const std::map<std::string, std::int32_t> operators = {{"[MIN", listops::kMin},
                                                           {"[MAX", listops::kMax},
                                                           {"[MED", listops::kMedian},
                                                           {"[SM", listops::kSum},
                                                           {"]", listops::kEnd}};
    std::istringstream in(text);
    std::vector<std::int32_t> tree;
    for (std::string word; in >> word;)
        tree.push_back(operators.contains(word) ? operators.at(word) : listops::kDigit + std::stoi(word));
    return tree;
}

ListOpsOptions brief() {
    ListOpsOptions options;
    options.length = 64;
    options.minLength = 8;
    options.depth = 4;
    options.maxArgs = 5;
    return options;
}

TEST(ListOps, IsATask) {
    checkSyntheticTask(findTask("listops"), {{"length", std::int64_t{64}},
                                             {"min_length", std::int64_t{16}},
                                             {"depth", std::int64_t{5}},
                                             {"max_args", std::int64_t{6}}});
    EXPECT_TRUE(findTask("listops").pooled);
}

TEST(ListOps, ValuesAreThoseOfTheGeneratorsSource) {
    EXPECT_EQ(listops::value(parse("7")), 7);
    EXPECT_EQ(listops::value(parse("[MIN 4 2 9 ]")), 2);
    EXPECT_EQ(listops::value(parse("[MAX 4 2 9 ]")), 9);
    EXPECT_EQ(listops::value(parse("[SM 4 2 9 ]")), 5);
    EXPECT_EQ(listops::value(parse("[MED 4 2 9 ]")), 4);
    EXPECT_EQ(listops::value(parse("[MED 4 1 9 8 ]")), 6) << "two middle ones";
    EXPECT_EQ(listops::value(parse("[MED 4 1 9 7 ]")), 5) << "int(5.5)";
    EXPECT_EQ(listops::value(parse("[MAX 4 3 [MIN 2 3 ] 1 0 [MED 1 5 8 9 2 ] ]")), 5) << "of the paper";
    EXPECT_THAT(errorOf([] { listops::value(parse("[MAX 4 3")); }), HasSubstr("closed"));
    EXPECT_THAT(errorOf([] { listops::value(parse("4 3")); }), HasSubstr("1 tokens follow"));
}

TEST(ListOps, AReaderOfSomeLevelsPassesOverTheRest) {
    const auto tree = parse("[MAX 4 [MIN 7 8 [SM 3 2 ] ] [SM 9 9 ] ]");
    EXPECT_EQ(listops::value(tree, 1), 4);
    EXPECT_EQ(listops::value(tree, 2), 8);
    EXPECT_EQ(listops::value(tree, 3), 8);
    EXPECT_EQ(listops::value(tree), 8);
    EXPECT_EQ(listops::value(parse("[MAX [SM 9 9 ] [SM 1 1 ] ]"), 1), -1);
    EXPECT_EQ(listops::value(parse("[MAX [SM 9 9 ] [SM 1 1 ] ]"), 2), 8);
}

TEST(ListOps, BatchesAreTreesBetweenClassAndPadding) {
    ListOps task(brief(), 1);
    Batch batch;
    std::set<std::int64_t> lengths;
    for (int step = 0; step < 100; ++step) {
        task.nextBatch(batch);
        for (std::int64_t b = 0; b < batch.batch; ++b) {
            const auto* tokens = batch.tokens.data() + b * 64;
            const auto* keep = batch.keep.data() + b * 64;
            const std::int64_t kept = std::count(keep, keep + 64, 1.0F);
            ASSERT_EQ(tokens[0], listops::kClass);
            for (std::int64_t t = 0; t < 64; ++t) {
                ASSERT_EQ(keep[t], t < kept ? 1.0F : 0.0F);
                ASSERT_EQ(tokens[t] == listops::kPadding, t >= kept);
            }
            const std::span<const std::int32_t> tree(tokens + 1, static_cast<std::size_t>(kept - 1));
            ASSERT_EQ(listops::value(tree), batch.targets[static_cast<std::size_t>(b)]);
            lengths.insert(kept - 1);
        }
    }
    EXPECT_EQ(*lengths.begin(), 9) << "more than min_length";
    EXPECT_GE(*lengths.rbegin(), 56);
    EXPECT_LE(*lengths.rbegin(), 63);
}

TEST(ListOps, TheFullSettingHasThePublishedStatistics) {
    // 150 000 draws, of which 12 400 are kept. The numbers are those of an independent port of the generator; theirs
    // come from as many draws, so that both errors count: √2 more than ours alone, and 4 of these.
    Random random(5, "test");
    std::vector<std::int32_t> tree;
    const double draws = 150000;
    double tooShort = 0, tooLong = 0;
    std::vector<double> lengths, labels(10);
    for (int i = 0; i < draws; ++i) {
        tree.clear();
        if (!listops::drawTree(random, 10, 10, 1999, tree))
            ++tooLong;
        else if (tree.size() <= 500)
            ++tooShort;
        else {
            lengths.push_back(static_cast<double>(tree.size()));
            ++labels[static_cast<std::size_t>(listops::value(tree))];
        }
    }
    const double kept = static_cast<double>(lengths.size());
    const auto bound = [](double share, double trials) { return 4 * std::sqrt(2 * share * (1 - share) / trials); };
    EXPECT_NEAR(kept / draws, 0.0825, bound(0.0825, draws));
    EXPECT_NEAR(tooShort / draws, 0.906, bound(0.906, draws));
    EXPECT_NEAR(tooLong / draws, 0.012, bound(0.012, draws));
    std::ranges::sort(lengths);
    double mean = 0;
    for (const double length : lengths) mean += length / kept;
    EXPECT_NEAR(mean, 1035, 4 * std::sqrt(2.0) * 400 / std::sqrt(kept)) << "deviation about 400";
    const double deciles[] = {578, 660, 749, 843, 954, 1077, 1218, 1408, 1641};
    for (int i = 1; i <= 9; ++i) {
        // Not the length but the share below it is compared: its error is known without the density.
        const double below = std::ranges::lower_bound(lengths, deciles[i - 1]) - lengths.begin();
        EXPECT_NEAR(below / kept, i / 10.0, bound(i / 10.0, kept)) << deciles[i - 1];
    }
    EXPECT_NEAR(labels[0] / kept, 0.169, bound(0.169, kept));
    EXPECT_NEAR(labels[9] / kept, 0.167, bound(0.167, kept));
    for (std::size_t label = 1; label < 9; ++label) {
        EXPECT_GT(labels[label] / kept, 0.071 - bound(0.071, kept)) << label;
        EXPECT_LT(labels[label] / kept, 0.090 + bound(0.090, kept)) << label;
    }
}

TEST(ListOps, TheFullSettingHasThePublishedShortcuts) {
    // Published for 20 000 held-out trees; here 4096 tell: 4 standard errors of both.
    const ListOps task({}, 1);
    const ListOps::Shortcuts ladder = task.shortcuts(8192);
    const auto bound = [](double share) { return 4 * std::sqrt(share * (1 - share) * (1 / 20000.0 + 1 / 4096.0)); };
    EXPECT_NEAR(ladder.majority, 0.164, bound(0.164));
    EXPECT_NEAR(ladder.rootOperator, 0.357, bound(0.357));
    EXPECT_NEAR(ladder.oneLevel, 0.482, bound(0.482));
    EXPECT_NEAR(ladder.twoLevels, 0.674, bound(0.674));
}

TEST(ListOps, ShallowTreesAreSolvedByAShallowReader) {
    // Depth 2 has operators over digits alone: one level is everything, and so are two of depth 3.
    ListOpsOptions options = brief();
    options.depth = 2;
    options.maxArgs = 10;
    options.length = 14;
    EXPECT_NEAR(ListOps(options, 1).shortcuts(4000).oneLevel, 1.0, 0.002) << "but for keys that the table's half lacks";
    options.depth = 3;
    options.length = 64;
    EXPECT_LT(ListOps(options, 1).shortcuts(4000).oneLevel, 0.9);
    EXPECT_NEAR(ListOps(options, 1).shortcuts(4000).twoLevels, 1.0, 0.002);
}

TEST(ListOps, WhatCannotBeIsRefusedInASentence) {
    ListOpsOptions options = brief();
    options.minLength = 63;
    EXPECT_EQ(errorOf([&] { ListOps(options, 1); }),
              "[listops] task.length must be greater than task.min_length + 1 = 64, so that there are lengths between "
              "them, but is 64");
    options = brief();
    options.depth = 2;
    options.minLength = 7;
    options.maxArgs = 5;
    EXPECT_EQ(
        errorOf([&] { ListOps(options, 1); }),
        "[listops] task.depth = 2 and task.max_args = 5 must give trees of more than 7 and less than 64 tokens in "
        "one draw of 10000 or more, but 100000 draws gave 0; give other lengths, or other trees");
}

TEST(ListOps, TokensCanBeRead) {
    const ListOps task(brief(), 1);
    std::string text;
    for (std::int32_t token = 0; token < 9; ++token) text += task.tokenText(token) + " ";
    EXPECT_EQ(text, "[PAD] [CLS] [MIN [MAX [MED [SM ] 0 1 ");
    EXPECT_EQ(task.tokenText(16), "9");
}

}  // namespace
}  // namespace linscope
