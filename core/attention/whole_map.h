#pragma once

#include "core/autograd/variable.h"

namespace linscope {

/// Exact attention as papers write it, o = softmax(QKᵀ/√D)·V with all of QKᵀ/√D and of its softmax in memory, [B,H,T,T]
/// each (Vaswani et al. 2017, §3.2.1). q, k, v and o are [B,T,H,D]. It is what approximations have compared themselves
/// with, and for such comparisons alone: attend() computes the same faster and without the map. The maps' memory is
/// only on loan, so that there is no gradient: throws Error on a tape that records.
Variable wholeMapAttention(const Variable& q, const Variable& k, const Variable& v);

namespace cuda {
void wholeMapAttention(const Variable& q, const Variable& k, const Variable& v, const Variable& o);
}

}  // namespace linscope
