#pragma once

#include <cuda_runtime_api.h>

#include <string_view>

namespace linscope::cuda {

/// Throws Error `[cuda] …` with what was being done and what CUDA says, unless `status` is success.
void check(cudaError_t status, std::string_view what);

/// Whether a kernel may take its place on the device before the one before it has ended (programmatic dependent
/// launches: CUDA C++ Programming Guide). Takes the first device's word for all.
bool kernelsOverlap();

}  // namespace linscope::cuda
