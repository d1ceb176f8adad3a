#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace linscope {

/// The offset of the first byte that is not part of well-formed UTF-8 (Unicode 15, table 3-7: no overlong
/// forms, no surrogates, nothing above U+10FFFF); std::string_view::npos where all of it is.
/// For a character that is cut off by the end of the text it is the offset of the character.
std::size_t findInvalidUtf8(std::string_view text);

inline bool isUtf8(std::string_view text) {
    return findInvalidUtf8(text) == std::string_view::npos;
}

/// The text with each byte that is not part of well-formed UTF-8 written as `\xff`: what a file's name may hold, and
/// what is read as text may not.
std::string asUtf8(std::string_view text);

}  // namespace linscope
