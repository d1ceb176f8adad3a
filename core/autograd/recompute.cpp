#include "core/autograd/recompute.h"

#include <cstring>

#include "core/base/error.h"
#include "core/cuda/context.h"

namespace linscope::detail {

void copyNumbers(const Arena& arena, const Tensor& from, const Tensor& to) {
    require(from.shape() == to.shape() && from.type() == to.type(), "recomputed",
            "a function from {} to the same shape and type, but it gave {}", to.shape().text(), from.shape().text());
    const auto bytes = static_cast<std::size_t>(to.bytes());
    if (arena.context() != nullptr)
        arena.context()->copy(to.raw(), from.raw(), bytes);
    else
        std::memcpy(to.raw(), from.raw(), bytes);
}

Variable sameOn(Tape& inner, const Variable& x) {
    const Variable same = inner.make(x.value(), x.needsGradient());
    if (const Tensor gradient = x.gradient(); !gradient.empty()) same.adoptGradient(gradient);
    return same;
}

}  // namespace linscope::detail
