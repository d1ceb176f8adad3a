#pragma once

#include <cuda_runtime_api.h>

#include <string_view>

namespace linscope::cuda {

/// Throws Error `[cuda] …` with what was being done and what CUDA says, unless `status` is success.
void check(cudaError_t status, std::string_view what);

}  // namespace linscope::cuda
