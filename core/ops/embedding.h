#pragma once

#include <cstdint>
#include <span>

#include "core/autograd/variable.h"

namespace linscope {

/// x_bt = table[token_bt] (+ positions[t]). tokens [B,T], table [V,C], positions [≥T,C] or absent → [B,T,C].
/// Throws Error on a token outside [0,V). The tokens must outlive the tape. With tables on a device, the spans of these
/// three are there too, and whoever copied them has checked them.
Variable embed(std::span<const std::int32_t> tokens, std::int64_t batch, std::int64_t length, const Variable& table,
               const Variable& positions);

/// Means of the tokens whose keep [B,T] is not 0 (all, when it is empty; 0 where none is). x [B,T,C] → [B,C].
Variable meanTokens(const Variable& x, std::span<const float> keep);

/// The rows `rows` [N] of x [..., C] → [N,C]. Throws Error on an index outside. The span must outlive the tape.
Variable selectRows(const Variable& x, std::span<const std::int64_t> rows);

// The same on a CUDA device; the functions above come here with tensors of one, checked.
namespace cuda {
Variable embed(std::span<const std::int32_t> tokens, std::int64_t batch, std::int64_t length, const Variable& table,
               const Variable& positions);
Variable meanTokens(const Variable& x, std::span<const float> keep);
Variable selectRows(const Variable& x, std::span<const std::int64_t> rows);
}  // namespace cuda

}  // namespace linscope
