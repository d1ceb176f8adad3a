#include "core/base/memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>

namespace linscope {

std::uint64_t machineMemory() {
    const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
    if (pages > 0 && bytes > 0) all = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(bytes);
    std::ifstream limit("/sys/fs/cgroup/memory.max");  // of version 2; "max" where there is none
    std::uint64_t given = 0;
    return limit >> given && given > 0 ? std::min(all, given) : all;
}

}  // namespace linscope
