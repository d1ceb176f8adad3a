#include "core/data/named_corpus.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

#include "core/base/error.h"

extern char** environ;

namespace linscope {
namespace {

constexpr std::string_view kWhere = "corpus";
constexpr int kPatience = 60'000;    // milliseconds without a byte
constexpr int kPipeBytes = 1 << 20;  // fewer switches between the two processes than with 64 KiB

std::string systemMessage(int error) {
    return std::generic_category().message(error);
}

class FileDescriptor {
public:
    explicit FileDescriptor(int fd) : m_fd(fd) {}
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;
    ~FileDescriptor() { close(); }
    int get() const { return m_fd; }
    void close() {
        if (m_fd >= 0) ::close(m_fd);
        m_fd = -1;
    }

private:
    int m_fd;
};

/// A started program; it does not outlive its reader.
class Process {
public:
    explicit Process(pid_t pid) : m_pid(pid) {}
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process() {
        if (m_pid <= 0) return;
        ::kill(m_pid, SIGKILL);
        wait();
    }
    int wait() {
        int status = 0;
        while (::waitpid(m_pid, &status, 0) < 0 && errno == EINTR) {
        }
        m_pid = 0;
        return status;
    }

private:
    pid_t m_pid;
};

pid_t spawn(const NamedCorpus& corpus, int out, int err) {
    std::vector<std::string> words(corpus.command.begin(), corpus.command.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    pid_t pid = 0;
    const int error = ::posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    require(error == 0, kWhere, "\"{}\" is printed by the program \"{}\", but it {}; install it: sudo apt install {}",
            corpus.name, corpus.command[0],
            error == ENOENT ? "is not installed" : "cannot be started: " + systemMessage(error), corpus.packages);
    return pid;
}

std::string firstLine(std::string_view text) {
    text = text.substr(0, text.find('\n'));
    return text.empty() ? "it printed no message" : "it says: " + std::string(text);
}

}  // namespace

const std::vector<NamedCorpus>& namedCorpora() {
    static const std::vector<NamedCorpus> corpora{
        {"bible-kjv", {"bible", "-f", "Gen1:1-Rev22:21"}, "bible-kjv bible-kjv-text", 31102},
    };
    return corpora;
}

std::string readNamedCorpus(const NamedCorpus& corpus) {
    std::array<int, 2> outPipe{}, errPipe{};
    require(::pipe2(outPipe.data(), O_CLOEXEC) == 0, kWhere, "a pipe was needed, but: {}", systemMessage(errno));
    FileDescriptor outRead(outPipe[0]), outWrite(outPipe[1]);
    require(::pipe2(errPipe.data(), O_CLOEXEC) == 0, kWhere, "a pipe was needed, but: {}", systemMessage(errno));
    FileDescriptor errRead(errPipe[0]), errWrite(errPipe[1]);
    ::fcntl(outRead.get(), F_SETPIPE_SZ, kPipeBytes);

    Process process(spawn(corpus, outWrite.get(), errWrite.get()));
    outWrite.close();
    errWrite.close();

    std::string text, messages;
    std::vector<char> buffer(kPipeBytes);
    std::array<pollfd, 2> ends{pollfd{outRead.get(), POLLIN, 0}, pollfd{errRead.get(), POLLIN, 0}};
    const std::array<std::string*, 2> sinks{&text, &messages};
    while (ends[0].fd >= 0 || ends[1].fd >= 0) {
        const int ready = ::poll(ends.data(), ends.size(), kPatience);
        if (ready < 0 && errno == EINTR) continue;
        require(ready > 0, kWhere, "\"{}\" was expected from the program \"{}\", but it has printed nothing for {} s",
                corpus.name, corpus.command[0], kPatience / 1000);
        for (std::size_t i = 0; i < ends.size(); ++i) {
            if (ends[i].fd < 0 || ends[i].revents == 0) continue;
            const ssize_t count = ::read(ends[i].fd, buffer.data(), buffer.size());
            if (count < 0 && errno == EINTR) continue;
            require(count >= 0, kWhere, "\"{}\" was expected from the program \"{}\", but: {}", corpus.name,
                    corpus.command[0], systemMessage(errno));
            if (count == 0)
                ends[i].fd = -1;
            else
                sinks[i]->append(buffer.data(), static_cast<std::size_t>(count));
        }
    }
    const int status = process.wait();
    const std::string mend = fmt::format("reinstall it: sudo apt install --reinstall {}", corpus.packages);
    require(WIFEXITED(status) && WEXITSTATUS(status) == 0, kWhere,
            "\"{}\" was expected from the program \"{}\", but it failed ({} {}): {}; {}", corpus.name,
            corpus.command[0], WIFEXITED(status) ? "exit status" : "signal",
            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), firstLine(messages), mend);
    const auto lines = std::count(text.begin(), text.end(), '\n');
    require(lines == corpus.lines, kWhere,
            "\"{}\" was expected to have {} lines, but the program \"{}\" printed {}: {}; {}", corpus.name,
            corpus.lines, corpus.command[0], lines, firstLine(messages), mend);
    return text;
}

}  // namespace linscope
