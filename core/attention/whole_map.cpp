#include "core/attention/whole_map.h"

#include <cmath>
#include <cstring>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/softmax.h"

namespace linscope {

Variable wholeMapAttention(const Variable& q, const Variable& k, const Variable& v) {
    Tape& tape = q.tape();
    require(!tape.recording(), "attention", "a tape that does not record was required, but this one does");
    const Variable o = tape.make(tape.arena().tensor(q.shape(), q.type()), false);
    const Arena::Scratch scratch(tape.arena());
    if (tape.arena().device() == Device::Cuda) {
        cuda::wholeMapAttention(q, k, v, o);
        return o;
    }
    const double factor = 1.0 / std::sqrt(static_cast<double>(q.shape()[3]));
    const Variable scores = matmul(scale(swapMiddle(q), factor), swapMiddle(k), {.transposeB = true});
    const Variable mixed = swapMiddle(matmul(softmax(scores), swapMiddle(v)));
    std::memcpy(o.value().raw(), mixed.value().raw(), static_cast<std::size_t>(o.value().bytes()));
    return o;
}

}  // namespace linscope
