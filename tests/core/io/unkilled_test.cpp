#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <new>
#include <thread>

#include "core/base/error.h"
#include "core/io/unkilled.h"

namespace linscope {
namespace {

using namespace std::chrono_literals;

TEST(Unkilled, RunsWithTheCallersMemoryAndReturnsWhenDone) {
    int value = 1;
    runUnkilled([&] {
        std::this_thread::sleep_for(20ms);
        value = 2;
    });
    EXPECT_EQ(value, 2);
}

TEST(Unkilled, ThrowsAgainWhatTheWorkThrew) {
    EXPECT_THROW(runUnkilled([] { throw StorageFull("[storage] full"); }), StorageFull);
}

TEST(Unkilled, SaysSoWhenTheWorkItselfIsEnded) {
    EXPECT_THROW(runUnkilled([] { ::raise(SIGKILL); }), Error);
}

TEST(Unkilled, SignalsThatCameMeanwhileReachTheirHandler) {
    static std::atomic<int> heard{0};
    const auto before = std::signal(SIGUSR1, [](int) { ++heard; });
    const pid_t self = getpid();
    runUnkilled([&] { ::kill(self, SIGUSR1); });
    std::signal(SIGUSR1, before);
    EXPECT_EQ(heard, 1);
}

/// How far a work got whose program is ended by kill -9 of it, or of its whole group, in the middle.
int progressAfterKill(bool wholeGroup) {
    void* page = mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    auto* progress = new (page) std::atomic<int>(0);
    const pid_t program = fork();
    if (program == 0) {
        setpgid(0, 0);
        runUnkilled([&] {
            *progress = 1;
            std::this_thread::sleep_for(100ms);
            *progress = 2;
        });
        *progress = 3;
        std::this_thread::sleep_for(10s);
        _exit(0);
    }
    while (*progress == 0) std::this_thread::sleep_for(1ms);
    ::kill(wholeGroup ? -program : program, SIGKILL);
    int status = 0;
    waitpid(program, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
    for (int i = 0; i < 100 && *progress != 2; ++i) std::this_thread::sleep_for(20ms);
    const int reached = *progress;
    munmap(page, sizeof(std::atomic<int>));
    return reached;
}

TEST(Unkilled, EndsItsWorkThoughTheProgramIsKilled) {
    EXPECT_EQ(progressAfterKill(false), 2);
    EXPECT_EQ(progressAfterKill(true), 2);
}

}  // namespace
}  // namespace linscope
