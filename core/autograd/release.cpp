#include "core/autograd/release.h"

namespace linscope {
namespace {
constexpr std::int64_t kLarge = std::int64_t{8} << 20;  // bytes
}

bool sparesMemory(const Variable& x, int times) {
    return !x.value().onDevice() || x.value().bytes() >= times * kLarge;
}

}  // namespace linscope
