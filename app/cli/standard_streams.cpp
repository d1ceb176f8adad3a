#include "app/cli/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

namespace linscope::app {

void fillStandardStreams() {
    // The lowest free number is taken, so that each of them gets its own. Of stdout alone it matters that nothing
    // arrives.
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream)
        if (fcntl(stream, F_GETFD) < 0) open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY);
}

void outlivePipes() {
    std::signal(SIGPIPE, SIG_IGN);
}

void sayText(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
}

void tellText(std::string_view text) {
    // Not through stdio, which would try again, and fail again, at the program's end.
    std::fflush(stdout);
    while (!text.empty()) {
        const ssize_t count = ::write(STDOUT_FILENO, text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return sayText(text);
        text.remove_prefix(static_cast<std::size_t>(count));
    }
}

}  // namespace linscope::app
