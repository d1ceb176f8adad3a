#include "core/options/suggest.h"

#include <fmt/format.h>

#include <algorithm>

namespace linscope {
namespace {

std::size_t editDistance(std::string_view a, std::string_view b) {
    const std::size_t width = b.size() + 1;
    std::vector<std::size_t> table((a.size() + 1) * width);
    const auto at = [&](std::size_t i, std::size_t j) -> std::size_t& { return table[i * width + j]; };
    for (std::size_t i = 0; i <= a.size(); ++i) at(i, 0) = i;
    for (std::size_t j = 0; j <= b.size(); ++j) at(0, j) = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = at(i - 1, j - 1) + (a[i - 1] == b[j - 1] ? 0 : 1);
            at(i, j) = std::min({replaced, at(i - 1, j) + 1, at(i, j - 1) + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
        }
    }
    return at(a.size(), b.size());
}

}  // namespace

std::string nearestName(std::string_view name, const std::vector<std::string>& known) {
    constexpr std::size_t kLongestName = 200;  // the table is quadratic, and nobody mistypes such a key
    if (name.size() > kLongestName) return {};
    const std::size_t allowed = std::clamp<std::size_t>(name.size() / 3, 1, 3);
    std::size_t best = allowed + 1;
    std::string nearest;
    for (const std::string& candidate : known) {
        if (candidate.size() > kLongestName) continue;
        const std::size_t distance = editDistance(name, candidate);
        // As many edits as letters would turn any name into any other.
        if (distance < best && distance < candidate.size()) {
            best = distance;
            nearest = candidate;
        }
    }
    return nearest;
}

std::string suggestion(std::string_view name, const std::vector<std::string>& known) {
    const std::string nearest = nearestName(name, known);
    if (!nearest.empty()) return fmt::format("did you mean \"{}\"?", nearest);
    if (known.empty()) return "there are none here";
    return fmt::format("known are: {}", fmt::join(known, ", "));
}

}  // namespace linscope
