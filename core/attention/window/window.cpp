#include "core/attention/window/window.h"

#include <algorithm>
#include "core/attention/proof_case.h"

#include "core/ops/elementwise.h"

namespace linscope {

void WindowOptions::visit(OptionVisitor& visitor) {
    visitor.integer({"window", "tokens",
                     "Keys at a distance below this are seen: 1 is the token itself; causal, the last so many tokens."},
                    window, {.minimum = 1});
}

namespace {

// The token alone, a narrow band, one that spans several blocks of the kernel, and one longer than the sequence.
std::vector<OptionValues> variants(const AttentionSizes& sizes) {
    std::vector<OptionValues> all;
    for (const std::int64_t window : {std::int64_t{1}, std::int64_t{9}, sizes.length * 3 / 5 + 1, sizes.length + 3})
        all.push_back({{"window", window}});
    return all;
}

}  // namespace

WindowAttention::WindowAttention(const WindowOptions& options, const AttentionSizes& sizes, ParameterStore& parameters)
    : Mechanism(sizes), m_window(options.window), m_position(sizes, parameters) {}

AttendOptions WindowAttention::attendOptions(const AttentionInput& input) const {
    return m_position.options(input.q.tape(), {.keep = input.keep, .causal = sizes().causal, .window = m_window});
}

Variable WindowAttention::forwardImpl(const AttentionInput& input) const {
    // The token alone: the softmax has nothing to choose, and scores get a gradient of exactly 0.
    if (m_window == 1) return scale(withoutPadding(input.v, input.keep), 1);
    return attend(input.q, input.k, input.v, attendOptions(input));
}

Variable WindowAttention::naiveImpl(const AttentionInput& input) const {
    return softmaxAttention(input.q, withoutPadding(input.k, input.keep), withoutPadding(input.v, input.keep),
                            attendOptions(input));
}

std::unique_ptr<DecodingState> WindowAttention::startDecodingImpl(int) const {
    return startCachedDecoding(sizes(), m_position, m_window);
}

namespace {

std::vector<TheoryResult> theory() {
    double worst = 0;
    for (const bool causal : {false, true}) {
        const AttentionSizes sizes{.heads = 2, .headWidth = 8, .length = 20, .causal = causal};
        const proofs::Case window{&findMechanism("window"), sizes, 2, {{"window", std::int64_t{20}}}};
        const proofs::Case full{&findMechanism("full"), sizes, 2, {}};
        worst = std::max(worst, proofs::difference(window, full, proofs::randomInputs(full)));
    }
    return {{"a window of all tokens is exact attention", worst, 1e-14}};
}

}  // namespace

MechanismInfo windowMechanism() {
    return {
        .name = "window",
        .title = "Sliding window",
        .summary = "Exact softmax attention to the neighbours within a window.",
        .paper = "Beltagy et al. 2020, arXiv:2004.05150, section 3.1",
        .traits = {.causal = true, .streaming = true, .mapAxis = MapAxis::Tokens},
        .options = specsOf<WindowOptions>(),
        .create = [](const OptionValues& options, const AttentionSizes& sizes,
                     ParameterStore& parameters) -> std::unique_ptr<Mechanism> {
            return std::make_unique<WindowAttention>(optionsFrom<WindowOptions>(options, "window"), sizes, parameters);
        },
        .validate = [](const OptionValues& options,
                       const AttentionSizes&) { optionsFrom<WindowOptions>(options, "window"); },
        .variants = variants,
        .position = [](Position, bool) -> PositionFit { return {}; },
        .cudaForm = [](const OptionValues&,
                       const AttentionSizes& sizes) { return sizes.headWidth <= cuda::kMostHeadWidth; },
        .cudaForms = "head widths up to 128 have one",
        .theory = theory,
    };
}

}  // namespace linscope
