#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace linscope {

/// The name of `known` that is nearest to `name`, counting insertions, deletions, replacements and swaps
/// of neighbours (optimal string alignment); empty where none is near enough to have been meant.
std::string nearestName(std::string_view name, const std::vector<std::string>& known);

/// The end of a message on an unknown name: `did you mean "length"?`, or `known are: length, batch`.
std::string suggestion(std::string_view name, const std::vector<std::string>& known);

}  // namespace linscope
