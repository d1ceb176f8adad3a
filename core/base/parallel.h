#pragma once

#include <algorithm>
#include <cstdint>

namespace linscope {

/// Threads that a parallel loop on the calling thread uses.
int threadCount();
/// For the calling thread's loops, and for the matrix library beneath them; ≥ 1.
void setThreadCount(int threads);

namespace detail {
using RangeFunction = void (*)(void* context, std::int64_t begin, std::int64_t end);
void parallelRanges(std::int64_t count, std::int64_t grain, RangeFunction function, void* context);
}  // namespace detail

/// Calls `function(begin, end)` for ranges that together are [0, count), on several threads. Ranges are
/// multiples of `grain` and depend on count, grain and the number of threads only, so that results are
/// repeatable. Inside another parallel loop it runs on the calling thread. `function` must not throw.
template <typename Function>
void parallelFor(std::int64_t count, std::int64_t grain, Function&& function) {
    detail::parallelRanges(
        count, grain,
        [](void* context, std::int64_t begin, std::int64_t end) {
            (*static_cast<std::remove_reference_t<Function>*>(context))(begin, end);
        },
        &function);
}

}  // namespace linscope
