#include "core/base/parallel.h"

#include <omp.h>

namespace linscope {

int threadCount() {
    return omp_get_max_threads();
}

void setThreadCount(int threads) {
    omp_set_num_threads(std::max(1, threads));
}

void detail::parallelRanges(std::int64_t count, std::int64_t grain, RangeFunction function, void* context) {
    if (count <= 0) return;
    const std::int64_t chunks = (count + grain - 1) / grain;
    const std::int64_t threads = std::min<std::int64_t>(threadCount(), chunks);
    if (threads <= 1 || omp_in_parallel()) {
        function(context, 0, count);
        return;
    }
#pragma omp parallel num_threads(static_cast <int>(threads))
    {
        const std::int64_t index = omp_get_thread_num();
        const std::int64_t team = omp_get_num_threads();
        const std::int64_t begin = chunks * index / team * grain;
        const std::int64_t end = std::min(count, chunks * (index + 1) / team * grain);
        if (begin < end) function(context, begin, end);
    }
}

void detail::parallelItems(std::int64_t count, ItemFunction function, void* context) {
    const std::int64_t threads = std::min<std::int64_t>(threadCount(), count);
    if (threads <= 1 || omp_in_parallel()) {
        for (std::int64_t item = 0; item < count; ++item) function(context, item, 0);
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(static_cast <int>(threads))
    for (std::int64_t item = 0; item < count; ++item) function(context, item, omp_get_thread_num());
}

}  // namespace linscope
