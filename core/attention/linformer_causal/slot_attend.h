#pragma once

#include <cstdint>
#include <span>

#include "core/autograd/variable.h"
#include "core/tensor/arena.h"

namespace linscope {

/// A sequence cut into blocks of S tokens; each block before the last one leaves K slots.
struct SlotBlocks {
    std::int64_t block = 1, slots = 1;  // S, K
    /// Blocks of n tokens whose slots somebody sees: all but the last, whole or not.
    std::int64_t finished(std::int64_t length) const { return length > 0 ? (length - 1) / block : 0; }
};

/// Which keys have weight; empty: all.
struct SlotKeep {
    std::span<const float> tokens = {};  // [B,T]
    std::span<const float> slots = {};   // [B,N·K]
};

/// o_i = softmax over the slots of all blocks before token i's and over the tokens of its own block up to i, in one
/// sum, of q·key/√D, times their values. By blocks with a running maximum as attend(), forward and backward: for each
/// head O(T·(S + K·T/S)·D) operations, and no more of the map at a time than one tile.
///
/// q, k and v [B,T,H,D], slotKeys and slotValues [B,N·K,H,D] with N = blocks.finished(T), or null for N = 0
/// → [B,T,H,D]. A query without any key gives 0. Where a key has no weight, k and v must be numbers. The spans must
/// outlive the tape.
Variable slotAttend(const Variable& q, const Variable& k, const Variable& v, const Variable& slotKeys,
                    const Variable& slotValues, const SlotBlocks& blocks, const SlotKeep& keep);

/// 1 for the slots [B,N·K] of blocks with a token, 0 for those of padding alone, in the arena's memory, from keep [B,T]
/// there. Empty: all are there.
std::span<const float> slotsKept(Arena& arena, std::span<const float> keep, std::int64_t batch, std::int64_t length,
                                 const SlotBlocks& blocks);

// The same on a CUDA device; the functions above come here with tensors of one, checked.
namespace cuda {
/// In single precision whatever the context's.
Variable slotAttend(const Variable& q, const Variable& k, const Variable& v, const Variable& slotKeys,
                    const Variable& slotValues, const SlotBlocks& blocks, const SlotKeep& keep);
std::span<const float> slotsKept(Arena& arena, std::span<const float> keep, std::int64_t batch, std::int64_t length,
                                 const SlotBlocks& blocks);
}  // namespace cuda

}  // namespace linscope
