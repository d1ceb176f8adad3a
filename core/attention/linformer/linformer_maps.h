#pragma once

#include "core/attention/mechanism.h"

namespace linscope {

/// Rows [rowBegin, rowEnd) of P̄ = softmax(Q(EK)ᵀ/√D), [rows, K].
Matrix linformerCompressedMap(const HeadView& head, std::int64_t rowBegin, std::int64_t rowEnd);
/// The same rows of L = P̄F, [rows, T]: what acts on the tokens' values. Signed; rows do not sum to 1.
Matrix linformerLiftedMap(const HeadView& head, std::int64_t rowBegin, std::int64_t rowEnd);

}  // namespace linscope
