#include "core/attention/linear/linear.h"
#include "core/attention/proof_case.h"

#include <fmt/format.h>

#include <cmath>

#include "core/attention/attend.h"
#include "core/attention/decay_scan.h"
#include "core/attention/linear/elementwise_features.h"
#include "core/attention/linear/taylor.h"
#include "core/attention/projected_features.h"
#include "core/attention/softmax_attention.h"
#include "core/base/error.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/pointwise.h"

namespace linscope {

void LinearOptions::visit(OptionVisitor& visitor) {
    visitor.choice({"features", "", "The feature map; taylor has 1 + D + D(D+1)/2 features, hedgehog learns 2D."},
                   features, {"elu", "relu", "taylor", "hedgehog"});
    visitor.flag({"normalise", "", "Weights sum to 1; without it each head's output is divided by its own size."},
                 normalise);
}

namespace {

std::vector<OptionValues> variants(const AttentionSizes&) {
    std::vector<OptionValues> all;
    for (const char* features : {"elu", "relu", "taylor", "hedgehog"})
        all.push_back({{"features", std::string(features)}, {"normalise", true}});
    for (const char* features : {"elu", "hedgehog"})
        all.push_back({{"features", std::string(features)}, {"normalise", false}});
    return all;
}

std::vector<Parameter*> addIdentities(int layer, const AttentionSizes& sizes, ParameterStore& parameters) {
    std::vector<Parameter*> all;
    for (std::int64_t head = 0; head < sizes.heads; ++head) {
        Parameter& w = parameters.add(fmt::format("attention.layer{}.head{}.W", layer, head),
                                      {sizes.headWidth, sizes.headWidth}, {.decay = false});
        dispatchReal(w.value.type(), [&](auto one) {
            one = 1;
            for (std::int64_t i = 0; i < sizes.headWidth; ++i)
                w.value.as<decltype(one)>()[i * (sizes.headWidth + 1)] = one;
        });
        all.push_back(&w);
    }
    return all;
}

Variable elu(const Variable& x) {
    return pointwise(
        x, [](auto value) { return value >= 0 ? value + 1 : std::exp(value); },
        [](auto value, auto y) { return value >= 0 ? decltype(y)(1) : y; });
}

Variable relu(const Variable& x) {
    return pointwise(
        x, [](auto value) { return std::max(value, decltype(value)(0)) + decltype(value)(kReluFloor); },
        [](auto value, auto y) { return decltype(y)(value > 0 ? 1 : 0); });
}

Variable exponential(const Variable& x) {
    return pointwise(
        x, [](auto value) { return std::exp(value); }, [](auto, auto y) { return y; });
}

}  // namespace

LinearAttention::LinearAttention(const LinearOptions& options, const AttentionSizes& sizes, ParameterStore& parameters)
    : Mechanism(sizes),
      m_features(options.features),
      m_normaliser(options.normalise ? Normaliser::Sum : Normaliser::Rms) {
    if (sizes.position == Position::Alibi) m_slopes = alibiSlopes(sizes.heads);
    if (m_features != "hedgehog") {
        const Elementwise kind = m_features == "elu"    ? Elementwise::Elu
                                 : m_features == "relu" ? Elementwise::Relu
                                                        : Elementwise::Taylor;
        m_maps.push_back(std::make_unique<ElementwiseFeatures>(kind, sizes.headWidth));
        return;
    }
    for (int layer = 0; layer < sizes.layers; ++layer) {
        const std::vector<Parameter*> all = addIdentities(layer, sizes, parameters);
        for (std::size_t head = 0; head < all.size(); ++head)
            addProjection("W", layer, static_cast<int>(head), all[head]);
        m_maps.push_back(std::make_unique<ProjectedFeatures>(Projected::Hyperbolic, all, 1.0, 0.0));
    }
}

FeatureAttentionOptions LinearAttention::options(const AttentionInput& input) const {
    return {.keep = input.keep, .causal = sizes().causal, .slopes = m_slopes, .normaliser = m_normaliser};
}

Variable LinearAttention::forwardImpl(const AttentionInput& input) const {
    const Variable k = withoutPadding(input.k, input.keep), v = withoutPadding(input.v, input.keep);
    if (m_features == "taylor" && k.value().onDevice()) return cuda::taylorAttention(input.q, k, v, options(input));
    return featureAttention(mapOf(input.layer), input.q, k, v, options(input));
}

Variable LinearAttention::naiveImpl(const AttentionInput& input) const {
    const Variable q = swapMiddle(input.q), k = swapMiddle(withoutPadding(input.k, input.keep));  // [B,H,T,D]
    const auto kernel = [&](auto&& phi) { return matmul(phi(q), phi(k), {.transposeB = true}); };
    Variable weights;  // [B,H,T,T]
    if (m_features == "elu") {
        weights = kernel(elu);
    } else if (m_features == "relu") {
        weights = kernel(relu);
    } else if (m_features == "taylor") {
        // By the dot product instead of its features.
        const double factor = 1.0 / std::sqrt(static_cast<double>(sizes().headWidth));
        weights = pointwise(
            scale(matmul(q, k, {.transposeB = true}), factor), [](auto s) { return 1 + s + s * s / 2; },
            [](auto s, auto) { return 1 + s; });
    } else {
        const auto half = [&](double sign) {
            return kernel([&](const Variable& x) {
                return exponential(scale(projectHeads(x, mapOf(input.layer).parameters()), sign));
            });
        };
        weights = add(half(1), half(-1));
    }
    return kernelAverage(weights, withoutPadding(input.v, input.keep), options(input));
}

std::unique_ptr<DecodingState> LinearAttention::startDecodingImpl(int layer) const {
    return startFeatureDecoding(mapOf(layer), sizes(), m_slopes, m_normaliser);
}

namespace {

// At scores s of at most 0.01, e^s and 1 + s + s²/2 differ by s³/6.
std::vector<TheoryResult> theory() {
    const AttentionSizes sizes{.heads = 2, .headWidth = 8, .length = 20};
    const proofs::Case taylor{&findMechanism("linear"), sizes, 2, {{"features", std::string("taylor")}}};
    const proofs::Case full{&findMechanism("full"), sizes, 2, {}};
    proofs::Inputs inputs = proofs::randomInputs(full);
    for (double& x : inputs.q) x *= 0.002;
    return {{"taylor is exact attention at small scores", proofs::difference(taylor, full, inputs), 1e-7}};
}

}  // namespace

MechanismInfo linearMechanism() {
    return {
        .name = "linear",
        .title = "Linear attention",
        .summary = "A feature map in the softmax's place, so that keys and values are summed once for all queries.",
        .paper = "Katharopoulos et al. 2020, arXiv:2006.16236; Based: arXiv:2402.18668; Hedgehog: arXiv:2402.04347",
        .traits = {.causal = true, .streaming = true, .mapAxis = MapAxis::Features},
        .options = specsOf<LinearOptions>(),
        .create = [](const OptionValues& options, const AttentionSizes& sizes,
                     ParameterStore& parameters) -> std::unique_ptr<Mechanism> {
            return std::make_unique<LinearAttention>(optionsFrom<LinearOptions>(options, "linear"), sizes, parameters);
        },
        .validate = [](const OptionValues& options,
                       const AttentionSizes&) { optionsFrom<LinearOptions>(options, "linear"); },
        .variants = variants,
        .position = [](Position position, bool causal) -> PositionFit {
            if (position == Position::Rotary)
                return {Fit::Approximate, "turned before the feature map, which does not keep products of distances"};
            if (position == Position::Alibi && causal) return {};  // a decay of the state
            if (position == Position::Alibi)
                return {Fit::Refused, "a decay needs an order of the tokens, which sums over both sides do not have"};
            return {Fit::Refused, "a free bias for each distance cannot be split into features of query and key"};
        },
        .cudaForm =
            [](const OptionValues&, const AttentionSizes& sizes) {
                return sizes.headWidth <= cuda::kMostHeadWidth && sizes.heads <= cuda::kMostScanHeads;
            },
        .cudaForms = "head widths up to 128 and up to 256 heads have one",
        .noTokenMap = [](const OptionValues& options, const AttentionSizes&) -> std::string {
            if (optionsFrom<LinearOptions>(options, "linear").normalise) return {};
            return "without normalise each output is divided by its own size, and so the weights depend on the values";
        },
        .theory = theory,
    };
}

}  // namespace linscope
