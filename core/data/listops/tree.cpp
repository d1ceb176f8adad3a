#include <algorithm>

#include "core/base/error.h"
#include "core/data/listops/listops.h"

namespace linscope::listops {
namespace {

constexpr double kOperator = 0.25;

int apply(std::int32_t operation, std::vector<int>& arguments) {
    if (arguments.empty()) return -1;
    const auto count = static_cast<std::ptrdiff_t>(arguments.size());
    if (operation == kSum) {
        int sum = 0;
        for (const int argument : arguments) sum += argument;
        return sum % 10;
    }
    std::ranges::sort(arguments);
    if (operation == kMin) return arguments.front();
    if (operation == kMax) return arguments.back();
    return (arguments[static_cast<std::size_t>((count - 1) / 2)] + arguments[static_cast<std::size_t>(count / 2)]) / 2;
}

/// Reads the node at `at` and moves `at` behind it.
int read(std::span<const std::int32_t> tree, std::size_t& at, std::int64_t levels) {
    require(at < tree.size(), "listops", "a tree that is closed was expected, but it ends at token {}", at);
    const std::int32_t token = tree[at++];
    if (token >= kDigit) return token - kDigit;
    require(token >= kMin && token <= kSum, "listops", "an operator or a digit was expected at token {}, but found {}",
            at - 1, token);
    std::vector<int> arguments;
    while (at < tree.size() && tree[at] != kEnd)
        if (const int argument = read(tree, at, levels - 1); argument >= 0) arguments.push_back(argument);
    require(at < tree.size(), "listops", "a tree that is closed was expected, but it ends at token {}", at);
    ++at;
    return levels > 0 ? apply(token, arguments) : -1;
}

}  // namespace

bool drawTree(Random& random, std::int64_t depth, std::int64_t maxArgs, std::int64_t mostTokens,
              std::vector<std::int32_t>& tokens) {
    if (static_cast<std::int64_t>(tokens.size()) >= mostTokens) return false;
    if (depth <= 1 || random.uniform() > kOperator) {
        tokens.push_back(kDigit + static_cast<std::int32_t>(random.below(10)));
        return true;
    }
    tokens.push_back(kMin + static_cast<std::int32_t>(random.below(4)));
    const std::int64_t arguments = 2 + random.below(maxArgs - 1);
    for (std::int64_t i = 0; i < arguments; ++i)
        if (!drawTree(random, depth - 1, maxArgs, mostTokens, tokens)) return false;
    if (static_cast<std::int64_t>(tokens.size()) >= mostTokens) return false;
    tokens.push_back(kEnd);
    return true;
}

int value(std::span<const std::int32_t> tree, std::int64_t levels) {
    std::size_t at = 0;
    const int result = read(tree, at, levels);
    require(at == tree.size(), "listops", "one tree was expected, but {} tokens follow it", tree.size() - at);
    return result;
}

}  // namespace linscope::listops
