#include "core/attention/gated_delta/gated_delta.h"
#include "core/attention/proof_case.h"

#include <fmt/format.h>

#include <cmath>

#include "core/attention/attend.h"
#include "core/attention/gated_delta/delta_decoding.h"
#include "core/attention/gated_delta/delta_rule.h"
#include "core/attention/gated_delta/key_gates.h"
#include "core/attention/head_norm.h"
#include "core/attention/softmax_attention.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/pointwise.h"

namespace linscope {

void GatedDeltaOptions::visit(OptionVisitor& visitor) {
    visitor.choice({"gate", "", "learned: a factor alpha of each head and token forgets; none: alpha = 1 (DeltaNet)."},
                   gate, {"learned", "none"});
    visitor.real({"beta_max", "",
                  "Greatest writing strength; above 1 a token can turn what its key reads to the "
                  "opposite."},
                 betaMax, {.minimum = 1, .maximum = 2});
    visitor.flag({"normalise", "", "Divide each head's output by its root mean square."}, normalise);
    visitor.integer({"chunk", "tokens", "Tokens computed together; changes speed and memory alone."}, chunk,
                    {.minimum = 1, .maximum = 256});
}

namespace {

// σ(4) = 0.982: at first a head remembers about 55 tokens.
constexpr double kAlphaBias = 4;

std::vector<OptionValues> variants(const AttentionSizes&) {
    return {valuesOf(GatedDeltaOptions{}), valuesOf(GatedDeltaOptions{.gate = "none", .chunk = 16}),
            valuesOf(GatedDeltaOptions{.betaMax = 2, .normalise = false, .chunk = 37})};
}

}  // namespace

GatedDeltaAttention::GatedDeltaAttention(const GatedDeltaOptions& options, const AttentionSizes& sizes,
                                         ParameterStore& parameters)
    : Mechanism(sizes), m_options(options) {
    const Shape weight{sizes.heads, sizes.headWidth}, bias{sizes.heads};
    const double spread = 1.0 / std::sqrt(static_cast<double>(sizes.headWidth));
    for (std::int64_t layer = 0; layer < sizes.layers; ++layer) {
        const auto add = [&](const char* name, const Shape& shape, const ParameterStore::Init& init) {
            return &parameters.add(fmt::format("attention.layer{}.{}", layer, name), shape, init);
        };
        DeltaGates gates{.betaWeight = add("beta.weight", weight, {.standardDeviation = spread}),
                         .betaBias = add("beta.bias", bias, {.decay = false})};
        if (options.gate == "learned") {
            gates.alphaWeight = add("alpha.weight", weight, {.standardDeviation = spread});
            gates.alphaBias = add("alpha.bias", bias, {.mean = kAlphaBias, .decay = false});
        }
        m_gates.push_back(gates);
    }
}

Variable gatedDelta(const DeltaGates& gates, const GatedDeltaOptions& options, const AttentionInput& input,
                    std::span<float> carried) {
    Tape& tape = input.q.tape();
    const Variable k = withoutPadding(input.k, input.keep), v = withoutPadding(input.v, input.keep);
    const Variable beta =
        writingStrength(keyGate(k, leafOf(tape, *gates.betaWeight), leafOf(tape, *gates.betaBias)), options.betaMax);
    Variable logAlpha;
    if (gates.alphaWeight != nullptr) {
        logAlpha = logForgetting(keyGate(k, leafOf(tape, *gates.alphaWeight), leafOf(tape, *gates.alphaBias)));
        if (!input.keep.empty()) logAlpha = scaleRows(logAlpha, input.keep);
    }
    const Variable o = deltaRule(normaliseRows(input.q, unitNorm()), normaliseRows(k, unitNorm()), v, beta, logAlpha,
                                 options.chunk, carried);
    return options.normalise ? normaliseRows(o, rmsNorm(k.shape()[3], kDeltaEpsilon)) : o;
}

Variable GatedDeltaAttention::forwardImpl(const AttentionInput& input) const {
    return gatedDelta(m_gates[static_cast<std::size_t>(input.layer)], m_options, input);
}

// The recurrence, token by token.
Variable GatedDeltaAttention::naiveImpl(const AttentionInput& input) const {
    Tape& tape = input.q.tape();
    const DeltaGates& gates = m_gates[static_cast<std::size_t>(input.layer)];
    const Shape& s = input.q.shape();
    const std::int64_t batch = s[0], length = s[1], heads = s[2], width = s[3];
    const Variable key = withoutPadding(input.k, input.keep), v = withoutPadding(input.v, input.keep);
    const Variable q = plainNormaliseRows(input.q, unitNorm()), k = plainNormaliseRows(key, unitNorm());
    const auto gate = [&](const Parameter& weight, const Parameter& bias) {
        return plainKeyGate(key, leafOf(tape, weight), leafOf(tape, bias));  // [B,T,H]
    };
    const Variable beta = writingStrength(gate(*gates.betaWeight, *gates.betaBias), m_options.betaMax);
    Variable alpha;
    if (gates.alphaWeight != nullptr) {
        Variable logAlpha = logForgetting(gate(*gates.alphaWeight, *gates.alphaBias));
        if (!input.keep.empty()) logAlpha = scaleRows(logAlpha, input.keep);
        alpha = pointwise(
            logAlpha, [](auto x) { return std::exp(x); }, [](auto, auto y) { return y; });
    }

    Variable state = tape.constant(tape.arena().zeros({batch, heads, width, width}, q.type()));
    std::vector<Variable> outputs;
    for (std::int64_t t = 0; t < length; ++t) {
        const auto token = [&](const Variable& x) { return reshape(slice(x, t, 1), {batch, heads, 1, width}); };
        const auto factor = [&](const Variable& x) { return reshape(slice(x, t, 1), {batch, heads, 1}); };
        if (alpha) {
            const Variable flat = reshape(state, {batch, heads, width * width});
            state = reshape(multiplyRows(flat, factor(alpha)), state.shape());
        }
        const Variable residual = add(token(v), scale(matmul(token(k), state), -1));  // [B,H,1,D]
        const Variable flat = multiplyRows(reshape(residual, {batch, heads, width}), factor(beta));
        const Variable written = reshape(flat, {batch, heads, 1, width});
        state = add(state, matmul(token(k), written, {.transposeA = true}));
        outputs.push_back(reshape(matmul(token(q), state), {batch, 1, heads, width}));
    }
    const Variable o = scale(concatenate(outputs), 1.0 / std::sqrt(static_cast<double>(width)));
    return m_options.normalise ? plainNormaliseRows(o, rmsNorm(width, kDeltaEpsilon)) : o;
}

std::unique_ptr<DecodingState> GatedDeltaAttention::startDecodingImpl(int layer) const {
    return startDeltaDecoding(m_gates[static_cast<std::size_t>(layer)], m_options, sizes());
}

namespace {

// What the delta rule is for, and a sum cannot do. Keys are normalised to lengths of 1 − 5e-7.
std::vector<TheoryResult> theory() {
    const proofs::Case c{&findMechanism("gated_delta"),
                         {.heads = 1, .headWidth = 2, .length = 3, .causal = true},
                         1,
                         {{"gate", std::string("none")}, {"normalise", false}}};
    const auto certain = [](ParameterStore& store) {
        for (Parameter& parameter : store.all())
            for (double& x : parameter.value.span<double>()) x = parameter.name.ends_with("beta.bias") ? 50 : 0;
    };
    const proofs::Inputs inputs{3, {1, 0, 1, 0, 1, 0}, {1, 0, 0, 1, 1, 0}, {5, 6, 7, 8, -1, 2}, proofs::Numbers(6, 1.0),
                                {}};
    const double scale = 1 / std::sqrt(2.0);
    const proofs::Numbers expected{5 * scale, 6 * scale, 5 * scale, 6 * scale, -1 * scale, 2 * scale};
    const proofs::Outcome outcome = proofs::run(c, inputs, proofs::Form::Fused, DType::F64, certain);
    return {{"a key written again holds its new value alone", proofs::relativeError(outcome.o, expected), 1e-5}};
}

}  // namespace

MechanismInfo gatedDeltaMechanism() {
    return {
        .name = "gated_delta",
        .title = "Gated delta rule",
        .summary = "A memory that each token corrects at its own key, and that learned gates let fade.",
        .paper =
            "Yang, Kautz & Hatamizadeh 2024, arXiv:2412.06464; without the gate: Yang et al. 2024, "
            "arXiv:2406.06484",
        .traits =
            {.bidirectional = false, .causal = true, .streaming = true, .signedMap = true, .mapAxis = MapAxis::Tokens},
        .options = specsOf<GatedDeltaOptions>(),
        .create = [](const OptionValues& options, const AttentionSizes& sizes,
                     ParameterStore& parameters) -> std::unique_ptr<Mechanism> {
            return std::make_unique<GatedDeltaAttention>(optionsFrom<GatedDeltaOptions>(options, "gated_delta"), sizes,
                                                         parameters);
        },
        .validate = [](const OptionValues& options,
                       const AttentionSizes&) { optionsFrom<GatedDeltaOptions>(options, "gated_delta"); },
        .variants = variants,
        .position = [](Position position, bool) -> PositionFit {
            if (position == Position::Rotary)
                return {Fit::Approximate,
                        "q and k meet in inner products alone, but the gates read a turned key and so its place"};
            if (position == Position::Alibi)
                return {Fit::Refused, "how far it remembers is its gates' to say, and is not a function of distance"};
            return {Fit::Refused, "it has no scores before a softmax that a bias could be added to"};
        },
        .cudaForm = [](const OptionValues&,
                       const AttentionSizes& sizes) { return sizes.headWidth <= cuda::kMostHeadWidth; },
        .cudaForms = "head widths up to 128 have one",
        .noTokenMap = [](const OptionValues& options, const AttentionSizes&) -> std::string {
            return optionsFrom<GatedDeltaOptions>(options, "gated_delta").normalise ? kNormIsNotLinear : "";
        },
        .theory = theory,
    };
}

}  // namespace linscope
