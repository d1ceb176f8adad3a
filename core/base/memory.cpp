#include "core/base/memory.h"

#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <system_error>

namespace linscope {

std::uint64_t machineMemory() {
    const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
    if (pages > 0 && bytes > 0) all = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(bytes);
    std::ifstream limit("/sys/fs/cgroup/memory.max");  // of version 2; "max" where there is none
    std::uint64_t given = 0;
    return limit >> given && given > 0 ? std::min(all, given) : all;
}

void refuseMoreThanMachineMemory() {
#if !defined(__SANITIZE_ADDRESS__)
    std::error_code ignored;
    if (std::filesystem::exists("/dev/nvidiactl", ignored)) return;
    const std::uint64_t all = machineMemory();
    struct sysinfo system {};
    if (all == std::numeric_limits<std::uint64_t>::max() || ::sysinfo(&system) != 0) return;
    struct rlimit limit {};
    if (::getrlimit(RLIMIT_DATA, &limit) != 0) return;
    const rlim_t most = all + static_cast<std::uint64_t>(system.totalswap) * system.mem_unit;
    limit.rlim_cur = std::min({limit.rlim_cur, limit.rlim_max, most});
    ::setrlimit(RLIMIT_DATA, &limit);
#endif
}

}  // namespace linscope
