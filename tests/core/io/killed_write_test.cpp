// Ends the writing process before each single write to the disk in turn.

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "core/io/run_file.h"
#include "tests/core/io/synthetic_run.h"
#include "tests/core/io/test_folder.h"

namespace {

int writesLeft = -1;  // until the process ends; none planned

constexpr int kEnded = 9;

}  // namespace

// Stands before the system's own: the program's symbols are found first.
extern "C" ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) {
    using Function = ssize_t (*)(int, const void*, size_t, off_t);
    static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "pwrite"));
    if (writesLeft == 0) _exit(kEnded);
    if (writesLeft > 0) --writesLeft;
    return real(file, bytes, size, offset);
}

namespace linscope {
namespace {

int statusOf(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(KilledWrite, LeavesAFileThatOpensWithAllThatWasThereBefore) {
    const TestFolder folder("killed_write");
    const synthetic::Sizes sizes;
    RunFileOptions options;
    options.flushSeconds = 1e9;
    const auto before = folder.path() / "before.h5", path = folder.path() / "run.h5";
    {
        RunFileWriter writer(before, synthetic::experiment(sizes), synthetic::SyntheticTask(sizes.length),
                             synthetic::layouts(sizes), options);
        for (std::int64_t step = 1; step < 500; ++step) writer.onEvent(synthetic::stepEvent(step));
        synthetic::feed(writer, sizes, 500);
    }
    int writes = 0;
    for (int status = kEnded; status != 0; ++writes) {
        ASSERT_LT(writes, 1000);
        std::filesystem::copy_file(before, path, std::filesystem::copy_options::overwrite_existing);
        const pid_t child = fork();
        if (child == 0) {
            auto writer = RunFileWriter::resume(path, 500, options);
            for (std::int64_t step = 501; step <= 520; ++step) synthetic::feed(*writer, sizes, step);  // a new chunk
            writesLeft = writes;
            try {
                writer->flush();
            } catch (const Error&) {  // its write process has ended
                _exit(kEnded);
            }
            _exit(0);
        }
        status = statusOf(child);
        ASSERT_TRUE(status == 0 || status == kEnded) << status;
        const RunFileReader reader(path);
        for (int lane = 0; lane < 2; ++lane) {
            const Series& loss = reader.lanes()[static_cast<std::size_t>(lane)].metrics[0];
            ASSERT_TRUE(loss.steps.size() == 500 || loss.steps.size() == 520)
                << loss.steps.size() << " after " << writes << " writes";
            for (std::size_t i = 0; i < loss.steps.size(); ++i)
                ASSERT_EQ(loss.values[i], synthetic::lossAt(static_cast<std::int64_t>(i) + 1, lane))
                    << "step " << i + 1 << " after " << writes << " writes";
        }
        ASSERT_EQ(reader.snapshot(1, 500).layers[1].q, synthetic::snapshotEvent(sizes, 500, 1).snapshot->layers[1].q);
        ASSERT_NO_THROW((void)RunFileWriter::resume(path, 500)) << "after " << writes << " writes";
        EXPECT_TRUE(status != 0 || reader.lastStep() == 520);
    }
    EXPECT_GT(writes, 50);
}

}  // namespace
}  // namespace linscope
