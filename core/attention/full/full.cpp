#include "core/attention/full/full.h"

#include <algorithm>
#include "core/attention/proof_case.h"

namespace linscope {

struct FullOptions {
    void visit(OptionVisitor&) {}
};

FullAttention::FullAttention(const AttentionSizes& sizes, ParameterStore& parameters)
    : Mechanism(sizes), m_position(sizes, parameters) {
    if (m_position.relative() != nullptr) addProjection("relative_bias", -1, -1, m_position.relative());
}

Variable FullAttention::forwardImpl(const AttentionInput& input) const {
    return attend(input.q, input.k, input.v,
                  m_position.options(input.q.tape(), {.keep = input.keep, .causal = sizes().causal}));
}

Variable FullAttention::naiveImpl(const AttentionInput& input) const {
    return softmaxAttention(input.q, withoutPadding(input.k, input.keep), withoutPadding(input.v, input.keep),
                            m_position.options(input.q.tape(), {.keep = input.keep, .causal = sizes().causal}));
}

std::unique_ptr<DecodingState> FullAttention::startDecodingImpl(int) const {
    return startCachedDecoding(sizes(), m_position);
}

namespace {

// Without a choice, the mean of the values: weights are positive and add up to 1.
std::vector<TheoryResult> theory() {
    const proofs::Case c{&findMechanism("full"), {.heads = 1, .headWidth = 8, .length = 20}, 1, {}};
    proofs::Inputs inputs = proofs::randomInputs(c);
    std::ranges::fill(inputs.q, 0.0);
    proofs::Numbers means(inputs.v.size(), 0.0);
    for (std::size_t i = 0; i < means.size(); ++i)
        for (std::size_t j = i % 8; j < means.size(); j += 8) means[i] += inputs.v[j] / 20;
    const auto outcome = proofs::run(c, inputs, proofs::Form::Fused, DType::F64);
    return {{"equal scores give the mean of the values", proofs::relativeError(outcome.o, means), 1e-14}};
}

}  // namespace

MechanismInfo fullMechanism() {
    return {
        .name = "full",
        .title = "Full attention",
        .summary = "Exact softmax attention, computed by blocks: the yardstick.",
        .paper = "Vaswani et al. 2017, arXiv:1706.03762; by blocks: Dao et al. 2022, arXiv:2205.14135",
        .traits = {.causal = true, .exact = true, .mapAxis = MapAxis::Tokens},
        .options = specsOf<FullOptions>(),
        .create = [](const OptionValues& options, const AttentionSizes& sizes,
                     ParameterStore& parameters) -> std::unique_ptr<Mechanism> {
            optionsFrom<FullOptions>(options, "full");
            return std::make_unique<FullAttention>(sizes, parameters);
        },
        .validate = [](const OptionValues& options,
                       const AttentionSizes&) { optionsFrom<FullOptions>(options, "full"); },
        .variants = [](const AttentionSizes&) { return std::vector<OptionValues>{OptionValues{}}; },
        .position = [](Position, bool) -> PositionFit { return {}; },
        .cudaForm = [](const OptionValues&,
                       const AttentionSizes& sizes) { return sizes.headWidth <= cuda::kMostHeadWidth; },
        .cudaForms = "head widths up to 128 have one",
        .theory = theory,
    };
}

}  // namespace linscope
