#pragma once

#include "core/attention/linformer/shared_projections.h"
#include "core/attention/mechanism.h"

namespace linscope {

struct LinformerOptions {
    std::string kind = "learned";     ///< learned, convolution, mean or gaussian
    std::vector<std::int64_t> k{64};  ///< slots, one for all layers or one each
    std::string sharing = "layerwise";
    void visit(OptionVisitor& visitor);
    Sharing sharingMode() const { return sharingOf(sharing); }
    std::int64_t slotsOf(std::int64_t layer) const;  // K
};

/// Where one E or F belongs.
struct ProjectionPlace {
    std::string prefix;      ///< of its parameter's name
    const char* name = "E";  ///< or "F"
    std::int64_t slots = 1;  // K
    int layer = -1;          ///< −1: shared by all layers
};

/// Linformer (Wang et al. 2020, arXiv:2006.04768, §4): o = softmax(Q(EK)ᵀ/√D)·(FV), E and F [K,T] learned, or drawn
/// once (kind "gaussian"). Padded keys and values are zeroed before the projections, which have no bias, so that
/// padding cannot reach a slot. Shorter sequences use the first columns of E and F. There is no causal form: every slot
/// mixes all tokens.
class LinformerAttention : public Mechanism {
public:
    LinformerAttention(const LinformerOptions& options, const AttentionSizes& sizes, ParameterStore& parameters);
    bool takesBf16() const override { return true; }

protected:
    Variable forwardImpl(const AttentionInput& input) const override;
    Variable naiveImpl(const AttentionInput& input) const override;

private:
    SharedProjections m_projections;
};

}  // namespace linscope
