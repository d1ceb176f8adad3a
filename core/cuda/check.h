#pragma once

#include <cuda_runtime_api.h>

#include <string_view>

namespace linscope::cuda {

/// Throws Error `[cuda] …` with what was being done and what CUDA says, unless `status` is success.
void check(cudaError_t status, std::string_view what);

/// After a launch: whether the kernel could be started at all.
inline void checkLaunch(std::string_view kernel) {
    check(cudaGetLastError(), kernel);
}

}  // namespace linscope::cuda
