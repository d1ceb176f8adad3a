#pragma once

#include <string>

#include "core/tensor/tensor.h"

namespace linscope {

/// Whether this build can compute on a CUDA device of this machine.
bool cudaAvailable();

/// Throws Error `[cuda] …` that says what is missing where cudaAvailable() is false.
void requireCuda();

/// "NVIDIA H100, compute capability 9.0, driver 580.12": what figures are told with. Throws as requireCuda().
std::string cudaDescription();

}  // namespace linscope
