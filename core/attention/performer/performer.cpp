#include "core/attention/performer/performer.h"

#include <fmt/format.h>

#include <cmath>

#include "core/attention/softmax_attention.h"
#include "core/base/error.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/pointwise.h"

namespace linscope {

void PerformerOptions::visit(OptionVisitor& visitor) {
    visitor.choice({"features", "",
                    "Positive, hyperbolic and trigonometric estimate softmax; relu is a kernel of its "
                    "own; trigonometric weights may be negative."},
                   features, {"positive", "hyperbolic", "trigonometric", "relu"});
    visitor.choice({"draw", "",
                    "Directions: independent, orthogonal in blocks, or orthogonal on the sphere of radius "
                    "√D (regularised)."},
                   draw, {"iid", "orthogonal", "regularised"});
    visitor.integer({"m", "directions", "Random directions for each head; pairs of features count once."}, m,
                    {.minimum = 1, .maximum = 65536});
    visitor.integer({"redraw", "steps", "New directions after so many steps; 0: never."}, redraw, {.minimum = 0});
}

Projected PerformerOptions::kind() const {
    return features == "positive"     ? Projected::Positive
           : features == "hyperbolic" ? Projected::Hyperbolic
           : features == "relu"       ? Projected::Relu
                                      : Projected::Trigonometric;
}

Draw PerformerOptions::drawKind() const {
    return draw == "iid" ? Draw::Iid : draw == "orthogonal" ? Draw::Orthogonal : Draw::Regularised;
}

namespace {

OptionValues variant(const char* features, const char* draw, std::int64_t m, std::int64_t redraw) {
    return {{"features", std::string(features)}, {"draw", std::string(draw)}, {"m", m}, {"redraw", redraw}};
}

// Every draw, and every map but the trigonometric: the sum that divides its weights may be as near to 0 as one likes,
// so that no bound on rounding errors holds at the norms of the proofs' tokens. Its proof is at small norms, in
// tests/core/attention/random_features_test.cpp. Numbers of directions are no multiple of the width.
std::vector<OptionValues> variants(const AttentionSizes& sizes) {
    const std::int64_t m = sizes.headWidth + 7;
    return {variant("positive", "orthogonal", m, 1000), variant("positive", "iid", m, 0),
            variant("positive", "regularised", m, 1000), variant("hyperbolic", "orthogonal", m, 1000),
            variant("relu", "orthogonal", m, 1000)};
}

double scaleOf(const AttentionSizes& sizes) {
    return std::pow(static_cast<double>(sizes.headWidth), -0.25);
}

Variable exponential(const Variable& x) {
    return pointwise(
        x, [](auto value) { return std::exp(value); }, [](auto, auto y) { return y; });
}

}  // namespace

PerformerAttention::PerformerAttention(const PerformerOptions& options, const AttentionSizes& sizes,
                                       ParameterStore& parameters)
    : Mechanism(sizes), m_options(options), m_seed(parameters.seed()) {
    if (sizes.position == Position::Alibi) m_slopes = alibiSlopes(sizes.heads);
    const double norm = options.kind() == Projected::Trigonometric ? 0.5 : options.kind() == Projected::Relu ? 0 : -0.5;
    for (int layer = 0; layer < sizes.layers; ++layer) {
        std::vector<Parameter*> all;
        for (int head = 0; head < sizes.heads; ++head) {
            all.push_back(&parameters.add(fmt::format("attention.layer{}.head{}.omega", layer, head),
                                          {options.m, sizes.headWidth}, {.decay = false, .buffer = true}));
            addProjection("omega", layer, head, all.back());
        }
        m_omega.insert(m_omega.end(), all.begin(), all.end());
        m_maps.emplace_back(options.kind(), std::move(all), scaleOf(sizes), norm);
    }
    draw(0);
}

void PerformerAttention::draw(std::int64_t number) {
    for (Parameter* omega : m_omega) {
        Random random(m_seed, fmt::format("{} draw {}", omega->name, number));
        const std::vector<double> values = drawFeatures(m_options.drawKind(), m_options.m, sizes().headWidth, random);
        dispatchReal(omega->value.type(), [&](auto zero) {
            using T = decltype(zero);
            for (std::size_t i = 0; i < values.size(); ++i) omega->value.as<T>()[i] = static_cast<T>(values[i]);
        });
    }
}

std::string PerformerAttention::beforeStep(std::int64_t step) {
    if (m_options.redraw == 0 || step <= 1 || (step - 1) % m_options.redraw != 0) return {};
    if (m_omega[0]->frozen) return {};
    draw((step - 1) / m_options.redraw);
    return fmt::format("{} new directions for each of {} heads", m_options.m, m_omega.size());
}

FeatureAttentionOptions PerformerAttention::options(const AttentionInput& input) const {
    return {.keep = input.keep, .causal = sizes().causal, .slopes = m_slopes};
}

Variable PerformerAttention::forwardImpl(const AttentionInput& input) const {
    return featureAttention(m_maps[static_cast<std::size_t>(input.layer)], input.q, withoutPadding(input.k, input.keep),
                            withoutPadding(input.v, input.keep), options(input));
}

Variable PerformerAttention::naiveImpl(const AttentionInput& input) const {
    const auto heads = static_cast<std::size_t>(sizes().heads);
    const auto omega = std::span(m_omega).subspan(static_cast<std::size_t>(input.layer) * heads, heads);
    const Variable x = scale(swapMiddle(input.q), scaleOf(sizes()));  // [B,H,T,D]
    const Variable y = scale(swapMiddle(withoutPadding(input.k, input.keep)), scaleOf(sizes()));
    const Variable ux = projectHeads(x, omega), uy = projectHeads(y, omega);  // [B,H,T,M]
    // e^(sign·|x|²/2) for each token, times its features.
    const auto withNorm = [](const Variable& features, const Variable& of, double sign) {
        return multiplyRows(features, exponential(scale(sumLast(multiply(of, of)), sign / 2)));
    };
    const auto kernel = [&](auto&& phi, double sign) {
        return matmul(withNorm(phi(ux), x, sign), withNorm(phi(uy), y, sign), {.transposeB = true});
    };
    const double each = 1.0 / static_cast<double>(m_options.m);
    Variable weights;  // [B,H,T,T]
    switch (m_options.kind()) {
        case Projected::Positive:
            weights = scale(kernel(exponential, -1), each);
            break;
        case Projected::Hyperbolic:
            weights = scale(
                add(kernel(exponential, -1), kernel([](const Variable& u) { return exponential(scale(u, -1)); }, -1)),
                each / 2);
            break;
        case Projected::Trigonometric: {
            const auto cosine = [](const Variable& u) {
                return pointwise(
                    u, [](auto v) { return std::cos(v); }, [](auto v, auto) { return -std::sin(v); });
            };
            const auto sine = [](const Variable& u) {
                return pointwise(
                    u, [](auto v) { return std::sin(v); }, [](auto v, auto) { return std::cos(v); });
            };
            weights = scale(add(kernel(cosine, 1), kernel(sine, 1)), each);
            break;
        }
        case Projected::Relu: {
            const auto relu = [](const Variable& u) {
                return pointwise(
                    u, [](auto v) { return std::max(v, decltype(v)(0)) + decltype(v)(kReluFloor); },
                    [](auto v, auto s) { return decltype(s)(v > 0 ? 1 : 0); });
            };
            weights = scale(matmul(relu(ux), relu(uy), {.transposeB = true}), each);
            break;
        }
    }
    return kernelAverage(weights, withoutPadding(input.v, input.keep), options(input));
}

std::unique_ptr<DecodingState> PerformerAttention::startDecodingImpl(int layer) const {
    return startFeatureDecoding(m_maps[static_cast<std::size_t>(layer)], sizes(), m_slopes, Normaliser::Sum);
}

MechanismInfo performerMechanism() {
    return {
        .name = "performer",
        .title = "Performer",
        .summary = "Softmax attention estimated with random features, in time linear in the length.",
        .paper = "Choromanski et al. 2020, arXiv:2009.14794",
        .traits = {.causal = true, .streaming = true, .mapAxis = MapAxis::Features},
        .options = specsOf<PerformerOptions>(),
        .create = [](const OptionValues& options, const AttentionSizes& sizes,
                     ParameterStore& parameters) -> std::unique_ptr<Mechanism> {
            return std::make_unique<PerformerAttention>(optionsFrom<PerformerOptions>(options, "performer"), sizes,
                                                        parameters);
        },
        .validate = [](const OptionValues& options,
                       const AttentionSizes&) { optionsFrom<PerformerOptions>(options, "performer"); },
        .variants = variants,
        .position = [](Position position, bool causal) -> PositionFit {
            // Turning keeps the norms, so that the estimate is one of the turned products, without bias.
            if (position == Position::Rotary || (position == Position::Alibi && causal)) return {};
            if (position == Position::Alibi)
                return {Fit::Refused, "a decay needs an order of the tokens, which sums over both sides do not have"};
            return {Fit::Refused, "a free bias for each distance cannot be split into features of query and key"};
        },
        .cudaForm = [](const OptionValues&,
                       const AttentionSizes& sizes) { return sizes.headWidth <= cuda::kMostHeadWidth; },
        .cudaForms = "head widths up to 128 have one",
        .signedMap =
            [](const OptionValues& options) {
                return optionsFrom<PerformerOptions>(options, "performer").kind() == Projected::Trigonometric;
            },
        .theory = performerTheory,
    };
}

}  // namespace linscope
