#pragma once

namespace linscope {

/// Whether this build can compute on a CUDA device of this machine.
bool cudaAvailable();

/// Throws Error `[cuda] …` that says what is missing where cudaAvailable() is false.
void requireCuda();

}  // namespace linscope
