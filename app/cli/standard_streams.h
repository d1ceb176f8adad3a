#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

// What becomes of the three standard streams where nobody is at their other end any more.

namespace linscope::app {

/// Puts /dev/null where a standard stream is closed, as daemons start programs: a file that is opened later would get
/// its number, and messages would be written into a run file. Called before anything is opened. What is printed to
/// stdout then fails, as it would have.
void fillStandardStreams();

/// Lets a write to a pipe that nobody reads any more fail, where it would end the program: Ctrl-C ends
/// `linscope train … | tee log` from its end, and the training still has its checkpoint to write.
void outlivePipes();

/// Writes to stderr. What does not arrive is lost.
void sayText(std::string_view text);

/// Prints to stderr what is told on the way. Where it does not arrive (a log on a full disk, a terminal that was
/// closed, a pipe without a reader) it is lost and the work goes on; fmt::print() would throw.
template <typename... Args>
void say(fmt::format_string<Args...> text, Args&&... args) {
    sayText(fmt::format(text, std::forward<Args>(args)...));
}

/// Prints to stdout what a command has to tell whose result is in files: where stdout does not take it, it goes to
/// stderr, and the work is done all the same.
void tellText(std::string_view text);

template <typename... Args>
void tell(fmt::format_string<Args...> text, Args&&... args) {
    tellText(fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace linscope::app
