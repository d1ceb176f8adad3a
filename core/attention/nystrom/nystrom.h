#pragma once

#include "core/attention/mechanism.h"

namespace linscope {

struct NystromOptions {
    std::int64_t landmarks = 64;
    std::int64_t iterations = 6;  ///< of the pseudo-inverse
    void visit(OptionVisitor& visitor);
};

/// Nyström approximation of softmax attention (Xiong et al. 2021, arXiv:2102.03902, §3 and Algorithm 1):
/// o = softmax(q·k̃ᵀ/√D) · Z · (softmax(q̃·kᵀ/√D)·v), the landmarks q̃, k̃ the means of segments of q and k, Z the
/// iterated pseudo-inverse of softmax(q̃·k̃ᵀ/√D). Segments are made of kept tokens alone (LandmarkSegments). The
/// paper's depthwise convolution of v is left out: it is a second mechanism, and would hide what this one cannot do.
class NystromAttention : public Mechanism {
public:
    NystromAttention(const NystromOptions& options, const AttentionSizes& sizes);

protected:
    Variable forwardImpl(const AttentionInput& input) const override;
    Variable naiveImpl(const AttentionInput& input) const override;

private:
    NystromOptions m_options;
};

}  // namespace linscope
