#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace linscope {

/// The one exception type of core and viz. Its text is one line of the form
/// `[where] what was required, but what was found` and, where it is known, the mend.
class Error : public std::runtime_error {
public:
    explicit Error(const std::string& text) : std::runtime_error(text) {}
};

/// There is no room on the disk. What was written before is whole, and trying again later makes sense.
class StorageFull : public Error {
public:
    using Error::Error;
};

/// A file that was being written has been taken away. All that was to be written is safe somewhere else, which the text
/// names; nothing more should be computed for it.
class FileLost : public Error {
public:
    using Error::Error;
};

/// Throws Error with the text `[where] message`.
template <typename... Args>
[[noreturn]] void fail(std::string_view where, fmt::format_string<Args...> message, Args&&... args) {
    throw Error(fmt::format("[{}] {}", where, fmt::format(message, std::forward<Args>(args)...)));
}

/// Throws Error with the text `[where] message` unless `condition` holds.
template <typename... Args>
void require(bool condition, std::string_view where, fmt::format_string<Args...> message, Args&&... args) {
    if (!condition) fail(where, message, std::forward<Args>(args)...);
}

}  // namespace linscope
