#include "core/cuda/device.h"

#include "core/base/error.h"

namespace linscope {

bool cudaAvailable() {
    return false;
}

void requireCuda() {
    fail("cuda", "a build with CUDA was required, but this one has none; use --device cpu");
}

}  // namespace linscope
