#pragma once

#include <cstdint>
#include <span>

#include "core/autograd/variable.h"

namespace linscope {

/// x_bt = table[token_bt] + positions[t]. tokens [B,T], table [V,C], positions [≥T,C] → [B,T,C].
/// Throws Error on a token outside [0,V). The tokens must outlive the tape.
Variable embed(std::span<const std::int32_t> tokens, std::int64_t batch, std::int64_t length, const Variable& table,
               const Variable& positions);

/// The rows `rows` [N] of x [..., C] → [N,C]. Throws Error on an index outside. The span must outlive the tape.
Variable selectRows(const Variable& x, std::span<const std::int64_t> rows);

}  // namespace linscope
