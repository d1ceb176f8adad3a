#include "tests/core/cuda/failing_kernel.h"

namespace linscope::test {
namespace {

__global__ void failing() {
    asm("trap;");
}

}  // namespace

void failOnDevice() {
    failing<<<1, 1>>>();
}

}  // namespace linscope::test
