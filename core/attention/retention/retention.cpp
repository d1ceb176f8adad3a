#include "core/attention/retention/retention.h"
#include "core/attention/proof_case.h"

#include <Eigen/Core>
#include <cmath>

#include "core/attention/aligned_floats.h"
#include "core/attention/attend.h"
#include "core/attention/decay_scan.h"
#include "core/attention/head_norm.h"
#include "core/attention/retention/retention_scan.h"
#include "core/attention/softmax_attention.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/pointwise.h"

namespace linscope {

void RetentionOptions::visit(OptionVisitor& visitor) {
    visitor.real({"decay_from", "", "The first head forgets by the factor 1 - 2^-decay_from a token."}, decayFrom,
                 {.minimum = 0, .maximum = 48});
    visitor.real({"decay_step", "", "Each further head's exponent is greater by this: it remembers longer."}, decayStep,
                 {.minimum = -48, .maximum = 48});
    visitor.flag({"normalise", "", "Divide each head's output by its root mean square."}, normalise);
}

namespace {

// Of the norm. The first token's output is ⟨q, k⟩·v/√D, and normed it should not depend on q at all: what single
// precision leaves of dL/dq is rounding, amplified by up to 1/√ε. The outputs' mean square is about 1.
constexpr double kEpsilon = 1e-3;
// Beyond 2⁻⁴⁸ the decay is 1 to within the rounding of double, and a memory of 10¹⁴ tokens has no use.
constexpr double kGreatestExponent = 48;

std::vector<double> gammasOf(const RetentionOptions& options, std::int64_t heads) {
    std::vector<double> gammas;
    for (std::int64_t h = 0; h < heads; ++h) {
        const double exponent = options.decayFrom + options.decayStep * static_cast<double>(h);
        require(exponent > 0 && exponent <= kGreatestExponent, "retention",
                "an exponent e of the decay 1 - 2^-e above 0 and at most {} for every head, but head {} has {}; "
                "change decay_from or decay_step",
                kGreatestExponent, h, exponent);
        gammas.push_back(1.0 - std::exp2(-exponent));
    }
    return gammas;
}

class RetentionDecoding : public DecodingState {
public:
    RetentionDecoding(std::span<const double> gammas, std::int64_t width, bool normalise)
        : m_gammas(gammas.begin(), gammas.end()),
          m_width(width),
          m_normalise(normalise),
          m_state(gammas.size() * static_cast<std::size_t>(width * width)) {}

    void step(std::span<const float> q, std::span<const float> k, std::span<const float> v,
              std::span<float> o) override {
        using Vector = Eigen::Map<const Eigen::VectorXf>;
        using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
        const float scale = 1.0f / std::sqrt(static_cast<float>(m_width));
        for (std::size_t h = 0; h < m_gammas.size(); ++h) {
            const std::int64_t at = static_cast<std::int64_t>(h) * m_width;
            Eigen::Map<Matrix> state(m_state.data() + at * m_width, m_width, m_width);
            state *= static_cast<float>(m_gammas[h]);
            state.noalias() += Vector(k.data() + at, m_width) * Vector(v.data() + at, m_width).transpose();
            Eigen::Map<Eigen::VectorXf>(o.data() + at, m_width).noalias() =
                scale * (state.transpose() * Vector(q.data() + at, m_width));
            if (m_normalise) normaliseRow(o.data() + at, m_width, rmsNorm(m_width, kEpsilon));
        }
    }

    Variable read(const Variable& q, const Variable& k, const Variable& v) override {
        const Variable o = retentionScan(q, k, v, m_gammas, m_state);
        return m_normalise ? normaliseRows(o, rmsNorm(m_width, kEpsilon)) : o;
    }

    std::vector<float> save() const override { return {m_state.begin(), m_state.end()}; }
    void load(std::span<const float> numbers) override {
        require(numbers.size() == m_state.size(), "decoding", "a state of {} heads of {} x {} numbers, but got {}",
                m_gammas.size(), m_width, m_width, numbers.size());
        m_state.assign(numbers.begin(), numbers.end());
    }

private:
    std::vector<double> m_gammas;  // [H]
    std::int64_t m_width;
    bool m_normalise;
    AlignedFloats m_state;  // [H,D,D], rows are channels of k
};

std::vector<OptionValues> variants(const AttentionSizes&) {
    // The second: slowest first. The third: a memory of two tokens beside one of 181.
    return {valuesOf(RetentionOptions{}), valuesOf(RetentionOptions{.decayFrom = 8, .decayStep = -6}),
            valuesOf(RetentionOptions{.decayFrom = 1, .decayStep = 6.5}),
            valuesOf(RetentionOptions{.normalise = false})};
}

}  // namespace

RetentionAttention::RetentionAttention(const RetentionOptions& options, const AttentionSizes& sizes)
    : Mechanism(sizes), m_gammas(gammasOf(options, sizes.heads)), m_normalise(options.normalise) {}

Variable RetentionAttention::forwardImpl(const AttentionInput& input) const {
    const Variable o =
        retentionScan(input.q, withoutPadding(input.k, input.keep), withoutPadding(input.v, input.keep), m_gammas);
    return m_normalise ? normaliseRows(o, rmsNorm(sizes().headWidth, kEpsilon)) : o;
}

// The parallel form (eq. 5): (QKᵀ ∘ D)·V with D_ij = γ^(i−j) for j ≤ i, else 0.
Variable RetentionAttention::naiveImpl(const AttentionInput& input) const {
    const std::int64_t length = input.q.shape()[1], heads = sizes().heads;
    const Tensor decay = input.q.tape().arena().tensor({heads, length, length}, input.q.type());
    dispatchReal(decay.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t h = 0; h < heads; ++h)
            for (std::int64_t i = 0; i < length; ++i)
                for (std::int64_t j = 0; j < length; ++j)
                    decay.as<T>()[(h * length + i) * length + j] = static_cast<T>(
                        j > i ? 0.0 : std::pow(m_gammas[static_cast<std::size_t>(h)], static_cast<double>(i - j)));
    });
    const Variable k = swapMiddle(withoutPadding(input.k, input.keep));  // [B,H,T,D]
    const Variable v = swapMiddle(withoutPadding(input.v, input.keep));
    const double factor = 1.0 / std::sqrt(static_cast<double>(sizes().headWidth));
    const Variable scores = scale(matmul(swapMiddle(input.q), k, {.transposeB = true}), factor);  // [B,H,T,T]
    const Variable o = swapMiddle(matmul(multiplyConstant(scores, decay), v));
    return m_normalise ? plainNormaliseRows(o, rmsNorm(sizes().headWidth, kEpsilon)) : o;
}

std::unique_ptr<DecodingState> RetentionAttention::startDecodingImpl(int) const {
    return std::make_unique<RetentionDecoding>(m_gammas, sizes().headWidth, m_normalise);
}

namespace {

// What one token wrote is worth γᵗ after t tokens.
std::vector<TheoryResult> theory() {
    const proofs::Case c{&findMechanism("retention"),
                         {.heads = 2, .headWidth = 1, .length = 100, .causal = true},
                         1,
                         {{"normalise", false}}};
    using proofs::Numbers;
    proofs::Inputs inputs{100, Numbers(200, 1.0), Numbers(200, 0.0), Numbers(200, 0.0), Numbers(200, 1.0), {}};
    for (std::size_t h = 0; h < 2; ++h) inputs.k[h] = inputs.v[h] = 1;
    Numbers expected;
    for (int t = 0; t < 100; ++t)
        for (const double gamma : {31.0 / 32, 63.0 / 64}) expected.push_back(std::pow(gamma, t));
    const proofs::Outcome outcome = proofs::run(c, inputs, proofs::Form::Fused, DType::F64);
    return {{"a token fades by the head's factor", proofs::relativeError(outcome.o, expected), 1e-13}};
}

}  // namespace

MechanismInfo retentionMechanism() {
    return {
        .name = "retention",
        .title = "Retention",
        .summary = "A sum of k v^T that fades by a fixed factor of each head with every token, read by q.",
        .paper = "Sun et al. 2023, arXiv:2307.08621",
        .traits =
            {.bidirectional = false, .causal = true, .streaming = true, .signedMap = true, .mapAxis = MapAxis::Tokens},
        .options = specsOf<RetentionOptions>(),
        .create = [](const OptionValues& options, const AttentionSizes& sizes,
                     ParameterStore&) -> std::unique_ptr<Mechanism> {
            return std::make_unique<RetentionAttention>(optionsFrom<RetentionOptions>(options, "retention"), sizes);
        },
        .validate =
            [](const OptionValues& options, const AttentionSizes& sizes) {
                gammasOf(optionsFrom<RetentionOptions>(options, "retention"), sizes.heads);
            },
        .variants = variants,
        .position = [](Position position, bool) -> PositionFit {
            // q and k meet in inner products alone.
            if (position == Position::Rotary) return {};
            if (position == Position::Alibi) return {Fit::Refused, "its heads have a decay with distance of their own"};
            return {Fit::Refused, "it has no scores before a softmax that a bias could be added to"};
        },
        .cudaForm =
            [](const OptionValues&, const AttentionSizes& sizes) {
                return sizes.headWidth <= cuda::kMostHeadWidth && sizes.heads <= cuda::kMostScanHeads;
            },
        .cudaForms = "head widths up to 128 and up to 256 heads have one",
        .noTokenMap = [](const OptionValues& options, const AttentionSizes&) -> std::string {
            return optionsFrom<RetentionOptions>(options, "retention").normalise ? kNormIsNotLinear : "";
        },
        .theory = theory,
    };
}

}  // namespace linscope
