#include "core/attention/full/full.h"

#include <cmath>

#include "core/attention/attend.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/softmax.h"

namespace linscope {

struct FullOptions {
    void visit(OptionVisitor&) {}
};

Variable FullAttention::forwardImpl(const AttentionInput& input) const {
    return attend(input.q, input.k, input.v, input.keep);
}

Variable FullAttention::naiveImpl(const AttentionInput& input) const {
    const Variable k = input.keep.empty() ? input.k : scaleHeads(input.k, input.keep);
    const Variable v = input.keep.empty() ? input.v : scaleHeads(input.v, input.keep);
    return softmaxAttention(input.q, k, v, input.keep);
}

Variable softmaxAttention(const Variable& q, const Variable& k, const Variable& v, std::span<const float> keep) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(q.shape()[3]));
    const Variable scores = linscope::scale(matmul(swapMiddle(q), swapMiddle(k), {.transposeB = true}), scale);
    return swapMiddle(matmul(softmax(scores, keep), swapMiddle(v)));
}

Variable scaleHeads(const Variable& x, std::span<const float> keep) {
    const Shape& s = x.shape();
    return reshape(scaleRows(reshape(x, {s[0], s[1], s[2] * s[3]}), keep), s);
}

MechanismInfo fullMechanism() {
    return {
        .name = "full",
        .title = "Full attention",
        .summary = "Exact softmax attention, computed by blocks: the yardstick.",
        .paper = "Vaswani et al. 2017, arXiv:1706.03762; by blocks: Dao et al. 2022, arXiv:2205.14135",
        .traits = {.mapAxis = MapAxis::Tokens},
        .options = specsOf<FullOptions>(),
        .create = [](const OptionValues& options, const AttentionSizes& sizes,
                     ParameterStore&) -> std::unique_ptr<Mechanism> {
            optionsFrom<FullOptions>(options, "full");
            return std::make_unique<FullAttention>(sizes);
        },
        .validate = [](const OptionValues& options,
                       const AttentionSizes&) { optionsFrom<FullOptions>(options, "full"); },
        .variants = [](const AttentionSizes&) { return std::vector<OptionValues>{OptionValues{}}; },
    };
}

}  // namespace linscope
