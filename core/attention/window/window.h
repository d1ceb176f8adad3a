#pragma once

#include "core/attention/softmax_attention.h"

namespace linscope {

struct WindowOptions {
    std::int64_t window = 64;  ///< keys at a distance below it are seen
    void visit(OptionVisitor& visitor);
};

/// Softmax attention within an exact sliding window (the local part of Beltagy et al. 2020, arXiv:2004.05150, §3.1):
/// o_i = Σ_j softmax_j(q_i·k_j/√D + what the position adds)·v_j over |i − j| < window, causal: i − window < j ≤ i.
/// Distances are between places, padding included. A window longer than the sequence is full attention: it is
/// accepted, since sequences of one task differ in length. Decodes with the last `window` keys and values.
class WindowAttention : public Mechanism {
public:
    WindowAttention(const WindowOptions& options, const AttentionSizes& sizes, ParameterStore& parameters);
    bool takesBf16() const override { return true; }

protected:
    Variable forwardImpl(const AttentionInput& input) const override;
    Variable naiveImpl(const AttentionInput& input) const override;
    std::unique_ptr<DecodingState> startDecodingImpl(int layer) const override;

private:
    AttendOptions attendOptions(const AttentionInput& input) const;

    std::int64_t m_window;
    SoftmaxPosition m_position;
};

}  // namespace linscope
