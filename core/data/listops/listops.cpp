#include "core/data/listops/listops.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/base/error.h"

namespace linscope {
namespace {

constexpr std::string_view kWhere = "listops";

// A draw costs about a tenth of a microsecond to some microseconds; rarer trees than these would slow training down.
constexpr int kTrialDraws = 100000;
constexpr int kTrialTrees = 10;
// Standard error of a share: 0.8 % at most.
constexpr std::int64_t kBaselineTrees = 8192;

/// The commonest value for each key, filled first and then asked.
class Table {
public:
    explicit Table(std::size_t keys) : m_counts(keys) {}
    void add(std::size_t key, int value) { ++m_counts[key][static_cast<std::size_t>(value)]; }
    int commonest(std::size_t key) const {
        return static_cast<int>(std::ranges::max_element(m_counts[key]) - m_counts[key].begin());
    }

private:
    std::vector<std::array<std::int32_t, listops::kClasses>> m_counts;
};

}  // namespace

void ListOpsOptions::visit(OptionVisitor& visitor) {
    visitor.integer({"length", "tokens", "T with [CLS]; trees have less tokens than this."}, length, {5, 1 << 20});
    visitor.integer({"min_length", "tokens", "Trees have more tokens than this."}, minLength, {1, 1 << 20});
    visitor.integer({"batch", "sequences", "B, sequences in a batch."}, batch, {1, 65536});
    visitor.integer({"depth", "levels", "Of the deepest digits; the root's is 1."}, depth, {2, 64});
    visitor.integer({"max_args", "arguments", "Most arguments of an operator; the least are 2."}, maxArgs, {2, 64});
}

ListOps::ListOps(const ListOpsOptions& options, std::uint64_t seed)
    : SyntheticTask({.name = kWhere, .length = options.length, .batch = options.batch, .padded = true}, seed),
      m_options(options) {
    require(
        options.minLength + 1 < options.length, kWhere,
        "task.length must be greater than task.min_length + 1 = {}, so that there are lengths between them, but is {}",
        options.minLength + 1, options.length);
    // Whether a run can start must not depend on its seed.
    Random random(0, "listops.trial");
    std::vector<std::int32_t> tree;
    int draws = 0, found = 0;
    for (; draws < kTrialDraws && found < kTrialTrees; ++draws) found += drawOnce(random, tree);
    require(
        found == kTrialTrees, kWhere,
        "task.depth = {} and task.max_args = {} must give trees of more than {} and less than {} tokens in one draw "
        "of {} or more, but {} draws gave {}; give other lengths, or other trees",
        options.depth, options.maxArgs, options.minLength, options.length, kTrialDraws / kTrialTrees, kTrialDraws,
        found);
}

bool ListOps::drawOnce(Random& random, std::vector<std::int32_t>& tree) const {
    tree.clear();
    // A tree that grows too long is dropped whatever comes, so it need not be finished.
    return listops::drawTree(random, m_options.depth, m_options.maxArgs, m_options.length - 1, tree) &&
           static_cast<std::int64_t>(tree.size()) > m_options.minLength;
}

void ListOps::draw(Random& random, Sample& sample) const {
    while (!drawOnce(random, sample.identity)) {
    }
    sample.tokens.push_back(listops::kClass);
    sample.tokens.insert(sample.tokens.end(), sample.identity.begin(), sample.identity.end());
    sample.places.push_back(0);
    sample.targets.push_back(listops::value(sample.identity));
}

ListOps::Shortcuts ListOps::shortcuts(std::int64_t trees) const {
    // Keys: the operator, and what it gives for the digits that are seen, or that there is none.
    constexpr std::size_t kOperators = 4, kSeen = 11;
    Table majority(1), root(kOperators), one(kOperators * kSeen), two(kOperators * kSeen);
    Random random(0, "listops.shortcuts");
    Sample sample;
    Shortcuts hits;
    for (std::int64_t i = 0; i < trees; ++i) {
        const bool counting = i >= trees / 2;
        drawFor(counting, random, sample);
        const int value = sample.targets[0];
        const auto operation = static_cast<std::size_t>(sample.identity[0] - listops::kMin);
        const auto seen = [&](std::int64_t levels) {
            return operation * kSeen + static_cast<std::size_t>(1 + listops::value(sample.identity, levels));
        };
        const auto go = [&](Table& table, std::size_t key, double& share) {
            if (!counting)
                table.add(key, value);
            else if (table.commonest(key) == value)
                share += 1 / static_cast<double>(trees - trees / 2);
        };
        go(majority, 0, hits.majority);
        go(root, operation, hits.rootOperator);
        go(one, seen(1), hits.oneLevel);
        go(two, seen(2), hits.twoLevels);
    }
    return hits;
}

std::vector<TaskBaseline> ListOps::baselines() const {
    const Shortcuts ladder = shortcuts(kBaselineTrees);
    return {{"validation_accuracy", "the commonest value", ladder.majority},
            {"validation_accuracy", "root operator alone", ladder.rootOperator},
            {"validation_accuracy", "root operator and its digits", ladder.oneLevel},
            {"validation_accuracy", "two levels", ladder.twoLevels}};
}

std::string ListOps::tokenText(std::int32_t token) const {
    checkToken(token);
    if (token >= listops::kDigit) return std::string(1, static_cast<char>('0' + token - listops::kDigit));
    constexpr std::array<std::string_view, 7> kTexts = {"[PAD]", "[CLS]", "[MIN", "[MAX", "[MED", "[SM", "]"};
    return std::string(kTexts[static_cast<std::size_t>(token)]);
}

std::string ListOps::description() const {
    return fmt::format("ListOps: trees of {} to {} tokens, depth up to {}, 2 to {} arguments", m_options.minLength + 1,
                       m_options.length - 1, m_options.depth, m_options.maxArgs);
}

TaskInfo listopsTask() {
    return {
        .name = "listops",
        .title = "ListOps",
        .summary = "Tells the value of a nested expression of MIN, MAX, MED and SM over digits (Long Range Arena).",
        .options = specsOf<ListOpsOptions>(),
        .pooled = true,
        .create = [](const OptionValues& options, std::uint64_t seed) -> std::unique_ptr<Task> {
            return std::make_unique<ListOps>(optionsFrom<ListOpsOptions>(options, kWhere), seed);
        },
    };
}

}  // namespace linscope
