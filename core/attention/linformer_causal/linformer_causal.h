#pragma once

#include "core/attention/linformer/shared_projections.h"
#include "core/attention/linformer_causal/slot_attend.h"
#include "core/attention/mechanism.h"

namespace linscope {

struct LinformerCausalOptions {
    std::int64_t block = 64;  // S
    std::int64_t slots = 8;   // K
    std::string sharing = "layerwise";
    void visit(OptionVisitor& visitor);
    SlotBlocks blocks() const { return {block, slots}; }
};

/// Linformer for decoders: the sequence is cut into blocks of S tokens, and a finished block n becomes K slots, E·K_n
/// and F·V_n with E and F [K,S]. Token i of block b attends, in one softmax, to the slots of the blocks before b and,
/// exactly, to the tokens of its own block up to i. No slot holds a token that is later than a query that sees it.
///
/// Padded keys and values are zeroed before E and F and masked in their own block; a block without any token has no
/// slots. The last block, whole or not, is never compressed.
class LinformerCausal : public Mechanism {
public:
    LinformerCausal(const LinformerCausalOptions& options, const AttentionSizes& sizes, ParameterStore& parameters);

protected:
    Variable forwardImpl(const AttentionInput& input) const override;
    Variable naiveImpl(const AttentionInput& input) const override;
    std::unique_ptr<DecodingState> startDecodingImpl(int layer) const override;

private:
    SlotBlocks m_blocks;
    SharedProjections m_projections;
};

}  // namespace linscope
