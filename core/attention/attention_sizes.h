#pragma once

#include <cstdint>

#include "core/attention/position.h"

namespace linscope {

/// The sizes that an instance is built for.
struct AttentionSizes {
    std::int64_t layers = 1;
    std::int64_t heads = 1;      // H
    std::int64_t headWidth = 1;  // D
    std::int64_t length = 1;     // T, the longest sequence
    bool causal = false;         ///< a decoder's: token i sees j ≤ i alone
    /// Rotary comes with q and k already turned (core/ops/rotary.h); the mechanism itself sees to Alibi and
    /// RelativeBias; the others do not concern it.
    Position position = Position::None;
};

}  // namespace linscope
