#pragma once

#include <span>

#include "core/data/synthetic_task.h"

namespace linscope {

struct ListOpsOptions {
    std::int64_t length = 2000;    // T, with [CLS]
    std::int64_t minLength = 500;  ///< trees are longer than this
    std::int64_t batch = 8;        // B
    std::int64_t depth = 10;
    std::int64_t maxArgs = 10;
    void visit(OptionVisitor& visitor);
};

/// Tokens: padding, [CLS], four operators, the end of an operator's list, ten digits.
namespace listops {
inline constexpr std::int32_t kPadding = 0, kClass = 1, kMin = 2, kMax = 3, kMedian = 4, kSum = 5, kEnd = 6, kDigit = 7;
inline constexpr std::int64_t kVocabulary = 17, kClasses = 10;

/// One draw of the generator of Long Range Arena (Tay et al. 2020, arXiv:2011.04006; lra_benchmarks/data/listops.py):
/// at a depth less than `depth` (the root's is 1) a node is an operator with probability 1/4, with 2 … `maxArgs`
/// arguments at the next depth and one of MIN MAX MED SM, all alike; otherwise a uniform digit. Appends the tree to the
/// cleared `tokens` in the order in which it is read. False where it would have more than `mostTokens`: `tokens` is
/// then cut.
bool drawTree(Random& random, std::int64_t depth, std::int64_t maxArgs, std::int64_t mostTokens,
              std::vector<std::int32_t>& tokens);

/// The tree's value: MIN, MAX, MED (with an even count the mean of the two middle ones, rounded down) and SM (sum
/// modulo 10). Operators deeper than `levels` (the root's is 1) are passed over as if they were not there: what a
/// reader gets who looks `levels` deep. −1 where nothing is left to compute with. Throws where `tree` is none.
int value(std::span<const std::int32_t> tree, std::int64_t levels = std::int64_t{1} << 40);
}  // namespace listops

/// ListOps of Long Range Arena: the value of a nested expression over digits, as one of ten classes, read at [CLS].
///
///     [CLS] [MAX 4 3 [MIN 2 3 ] 1 0 ]   →   4
///
/// Trees of more than minLength and less than `length` tokens are kept; [CLS] stands before them and padding behind.
class ListOps : public SyntheticTask {
public:
    /// Throws Error where no tree has such a length, or less than one draw in ten thousand.
    ListOps(const ListOpsOptions& options, std::uint64_t seed);

    std::int64_t vocabulary() const override { return listops::kVocabulary; }
    std::int64_t outputs() const override { return listops::kClasses; }
    /// The shortcut ladder: see shortcuts().
    std::vector<TaskBaseline> baselines() const override;
    std::string tokenText(std::int32_t token) const override;
    std::string description() const override;

    /// Share of held-out trees that are told right by tables of the commonest value for: nothing (the majority); the
    /// root's operator; that and the root applied to its direct digits; the same two levels deep.
    struct Shortcuts {
        double majority = 0, rootOperator = 0, oneLevel = 0, twoLevels = 0;
    };
    /// From `trees` trees of a stream that is always the same, one half to fill the tables and one half to count.
    Shortcuts shortcuts(std::int64_t trees) const;

protected:
    void draw(Random& random, Sample& sample) const override;

private:
    bool drawOnce(Random& random, std::vector<std::int32_t>& tree) const;
    ListOpsOptions m_options;
};

TaskInfo listopsTask();

}  // namespace linscope
