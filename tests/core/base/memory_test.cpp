#include "core/base/memory.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <vector>

namespace linscope {
namespace {

TEST(Memory, OfAMachineIsSome) {
    EXPECT_GT(machineMemory(), std::uint64_t{1} << 26);
}

[[noreturn]] void askUntilRefused() {
    refuseMoreThanMachineMemory();
    constexpr std::size_t kBlock = std::size_t{1} << 30, kMost = std::size_t{1} << 14;
    std::vector<void*> blocks;
    try {
        while (blocks.size() < kMost) blocks.push_back(::operator new(kBlock));
    } catch (const std::bad_alloc&) {
        std::fputs("refused", stderr);
        std::_Exit(0);
    }
    std::_Exit(1);
}

// Blocks that are never written to: what the system would promise without end.
TEST(Memory, IsRefusedBeyondTheMachine) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the sanitizer's own memory is beyond any limit";
#endif
    if (std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "NVIDIA's driver maps more than it uses";
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(askUntilRefused(), testing::ExitedWithCode(0), "refused");
}

}  // namespace
}  // namespace linscope
