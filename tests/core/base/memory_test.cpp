#include "core/base/memory.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace linscope {
namespace {

TEST(Memory, OfAMachineIsSome) {
    EXPECT_GT(machineMemory(), std::uint64_t{1} << 26);
}

}  // namespace
}  // namespace linscope
