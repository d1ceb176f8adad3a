#pragma once

#include <cuda_runtime_api.h>

#include <string_view>

namespace linscope::cuda {

/// Throws Error `[cuda] …` with what was being done and what CUDA says, unless `status` is success.
void check(cudaError_t status, std::string_view what);

/// Throws Error for more blocks on a grid's second or third side than CUDA has (CUDA C++ Programming Guide, "Technical
/// Specifications").
void checkAcross(unsigned blocks, std::string_view what);

}  // namespace linscope::cuda
