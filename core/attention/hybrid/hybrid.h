#pragma once

#include "core/attention/hybrid/plan.h"

namespace linscope {

struct HybridOptions {
    std::string plan = "full";
    void visit(OptionVisitor& visitor);
};

/// Any mixture of mechanisms by layer and by head, after a plan (core/attention/hybrid/plan.h). Each part is a
/// mechanism of one layer with the heads that it has; its parameters are named "attention.layer<l>.part<p>.…".
class HybridAttention : public Mechanism {
public:
    HybridAttention(const HybridOptions& options, const AttentionSizes& sizes, ParameterStore& parameters);

    std::string beforeStep(std::int64_t step) override;

protected:
    Variable forwardImpl(const AttentionInput& input) const override;
    Variable naiveImpl(const AttentionInput& input) const override;
    std::unique_ptr<DecodingState> startDecodingImpl(int layer) const override;

private:
    template <typename Run>
    Variable runParts(const AttentionInput& input, Run&& run) const;

    std::vector<std::vector<std::unique_ptr<Mechanism>>> m_layers;
};

}  // namespace linscope
