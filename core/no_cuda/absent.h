#pragma once

#include "core/base/error.h"

namespace linscope {

/// What everything of core/cuda comes to in a build without CUDA.
[[noreturn]] inline void absent() {
    fail("cuda", "a build with CUDA was required, but this one has none; use --device cpu");
}

}  // namespace linscope
