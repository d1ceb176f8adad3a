// A real file system without room: a small tmpfs, where this user may mount one.

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/io/checkpoint.h"
#include "core/io/run_file.h"
#include "core/tensor/arena.h"
#include "tests/core/io/synthetic_run.h"
#include "tests/core/io/test_folder.h"

namespace linscope {
namespace {

constexpr int kPassed = 0, kNoMount = 77;

bool mountSmall(const std::filesystem::path& folder) {
    const auto user = std::to_string(getuid()), group = std::to_string(getgid());
    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
        std::ofstream("/proc/self/setgroups") << "deny";
        std::ofstream("/proc/self/uid_map") << "0 " + user + " 1";
        std::ofstream("/proc/self/gid_map") << "0 " + group + " 1";
    }
    return mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           mount("none", folder.c_str(), "tmpfs", 0, "size=3m") == 0;
}

/// In a process of its own; the number of the check that failed, or kPassed.
int fillAndFree(const std::filesystem::path& folder) {
    if (!mountSmall(folder)) return kNoMount;
    const auto path = folder / "run.h5", ballast = folder / "ballast", checkpoint = folder / "c.safetensors";
    const synthetic::Sizes sizes;
    Arena arena;
    const Tensor small = arena.zeros({1000}), large = arena.zeros({1'000'000});
    writeSafetensors(checkpoint, {{"small", small}}, {});
    std::ofstream(ballast) << std::string(1'000'000, 'x');
    RunFileOptions options;
    options.flushSeconds = 0;
    RunFileWriter writer(path, synthetic::experiment(sizes), synthetic::SyntheticTask(sizes.length),
                         synthetic::layouts(sizes), options);
    std::int64_t step = 0;
    bool full = false;
    while (!full && step < 5000) {
        try {
            synthetic::feed(writer, sizes, ++step);
        } catch (const StorageFull&) {
            full = true;
        }
    }
    if (!full) return 1;
    if (RunFileReader(path).lastStep() < step - 1) return 2;
    try {
        writeSafetensors(checkpoint, {{"large", large}}, {});
        return 3;
    } catch (const StorageFull&) {
    }
    if (SafetensorsFile(checkpoint).names() != std::vector<std::string>{"small"}) return 4;
    std::filesystem::remove(ballast);
    writer.flush();
    synthetic::feed(writer, sizes, step + 1);
    const RunFileReader reader(path);
    const Series& loss = reader.lanes()[0].metrics[0];
    if (loss.steps.size() != static_cast<std::size_t>(step + 1)) return 5;
    for (std::size_t i = 0; i < loss.steps.size(); ++i)
        if (loss.values[i] != synthetic::lossAt(static_cast<std::int64_t>(i) + 1, 0)) return 6;
    return kPassed;
}

TEST(FullDisk, LoggingWaitsAndGoesOn) {
    const TestFolder folder("full_disk");
    const pid_t child = fork();
    if (child == 0) {
        int code = 99;
        try {
            code = fillAndFree(folder.path());
        } catch (const std::exception& error) {
            std::fprintf(stderr, "%s\n", error.what());
        }
        _exit(code);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == kNoMount) GTEST_SKIP() << "this user may not mount a tmpfs";
    EXPECT_EQ(WEXITSTATUS(status), kPassed) << "the number of the check in fillAndFree()";
}

}  // namespace
}  // namespace linscope
