#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linscope {

/// A text that a program of the distribution prints.
struct NamedCorpus {
    std::string_view name;                  ///< as in task.corpus
    std::vector<std::string_view> command;  ///< program and arguments
    std::string_view packages;              ///< what to install
    std::int64_t lines = 0;                 ///< that the program prints; another number is an error
};

const std::vector<NamedCorpus>& namedCorpora();

/// What the corpus's program prints. Throws Error when it is not installed, fails, says nothing for a minute,
/// or prints another number of lines.
std::string readNamedCorpus(const NamedCorpus& corpus);

}  // namespace linscope
