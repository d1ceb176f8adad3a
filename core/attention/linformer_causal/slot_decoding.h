#pragma once

#include <memory>
#include <span>

#include "core/attention/attention_sizes.h"
#include "core/attention/decoding.h"
#include "core/attention/linformer_causal/slot_attend.h"
#include "core/nn/parameters.h"

namespace linscope {

/// Decoding with the keys and values of the own block, fewer than S tokens, and the slots of all finished blocks:
/// memory grows by K slots every S tokens. e and f, one for all heads or one each, must outlive the state.
std::unique_ptr<DecodingState> startSlotDecoding(const AttentionSizes& sizes, const SlotBlocks& blocks,
                                                 std::span<Parameter* const> e, std::span<Parameter* const> f);

}  // namespace linscope
