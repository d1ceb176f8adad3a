#include "core/cuda/launch.cuh"

namespace linscope {

void DeviceContext::fillNumbers(float* numbers, float value, std::int64_t count) {
    cuda::forEach(stream(), count, "filling", [=] __device__(std::int64_t i) { numbers[i] = value; });
}

}  // namespace linscope
