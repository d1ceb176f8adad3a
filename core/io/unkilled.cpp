#include "core/io/unkilled.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <exception>
#include <memory>

#include "core/base/error.h"

namespace linscope {

namespace {

constexpr std::size_t kStackBytes = 256 * 1024;

struct Job {
    const std::function<void()>& work;
    std::exception_ptr error;
    bool ended = false;
};

int runJob(void* argument) {
    ::setpgid(0, 0);  // kill -9 of the whole process group is no concern of ours either
    Job& job = *static_cast<Job*>(argument);
    try {
        job.work();
    } catch (...) {
        job.error = std::current_exception();
    }
    job.ended = true;
    return 0;
}

/// Signals wait meanwhile: their handlers are meant for the thread that stands still.
class BlockedSignals {
public:
    BlockedSignals() {
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &m_before);
    }
    ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &m_before, nullptr); }
    BlockedSignals(const BlockedSignals&) = delete;
    BlockedSignals& operator=(const BlockedSignals&) = delete;

private:
    sigset_t m_before{};
};

}  // namespace

void runUnkilled(const std::function<void()>& work) {
    Job job{work, nullptr};
    {
        const BlockedSignals blocked;
        const auto stack = std::make_unique<std::byte[]>(kStackBytes);
        // No exit signal: a program that handles its children never hears of this one.
        const pid_t process =
            ::clone(runJob, stack.get() + kStackBytes, CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_FS, &job);
        if (process < 0) {  // no process to be had: the work still has to be done
            work();
            return;
        }
        while (::waitpid(process, nullptr, __WALL) < 0 && errno == EINTR) {
        }
    }
    if (job.error) std::rethrow_exception(job.error);
    require(job.ended, "run file", "writing must not be ended from outside, but it was; the next flush repeats it");
}

}  // namespace linscope
