#pragma once

#include <string>
#include <string_view>

namespace linscope {

/// `text` as one word of a command that a person pastes into a shell: as it is where it has nothing that a shell reads
/// otherwise, else in single quotes (POSIX, Shell Command Language, 2.2.2), those within it left out of them.
std::string shellWord(std::string_view text);

}  // namespace linscope
