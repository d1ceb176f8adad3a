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
using ItemFunction = void (*)(void* context, std::int64_t item, std::int64_t thread);
void parallelItems(std::int64_t count, ItemFunction function, void* context);
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

/// Calls `function(item, thread)` for every item of [0, count), on threads [0, threadCount()). Whoever is free takes
/// the next one, since threads are not equally fast: for items that write to places of their own, so that results do
/// not depend on it. Inside another parallel loop it runs on the calling thread, as thread 0. `function` must not
/// throw.
template <typename Function>
void parallelItems(std::int64_t count, Function&& function) {
    detail::parallelItems(
        count,
        [](void* context, std::int64_t item, std::int64_t thread) {
            (*static_cast<std::remove_reference_t<Function>*>(context))(item, thread);
        },
        &function);
}

}  // namespace linscope
