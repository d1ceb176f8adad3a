#pragma once

#include "core/autograd/variable.h"

namespace linscope {

struct MatmulOptions {
    bool transposeA = false, transposeB = false;
};

/// op(a)·op(b) over the last two axes. b has the batch axes; a has the same, or only the last few of them
/// (or none), and then serves all the others. a [.., m,k], b [..., k,n] → [..., m,n]
Variable matmul(const Variable& a, const Variable& b, MatmulOptions options = {});

}  // namespace linscope
