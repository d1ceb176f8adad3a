#pragma once

#include <cstdint>
#include <span>

#include "core/autograd/variable.h"

namespace linscope {

/// Rotary position (Su et al. 2021, arXiv:2104.09864, §3.2.2): of each head's channels the pair (c, c + D/2)
/// is turned by the angle t·10000^(−2c/D), t the token's place, so that ⟨rotary(q)_i, rotary(k)_j⟩ depends on
/// i − j. With an odd D the last channel stays. x [B,T,H,D] → the same. `inverse` turns back.
Variable rotary(const Variable& x, bool inverse = false);

/// The same in place for n tokens of a sequence from the place `position` on. x [n,H,D]
void rotateTokens(std::span<float> x, std::int64_t heads, std::int64_t width, std::int64_t position);

// The same on a CUDA device; the functions above come here with tensors of one, checked.
namespace cuda {
Variable rotary(const Variable& x, bool inverse);
}  // namespace cuda

}  // namespace linscope
