#include "core/attention/proofs.h"

#include <cmath>
#include <limits>

#include "core/attention/proof_case.h"
#include "core/base/error.h"
#include "core/cuda/context.h"
#include "core/experiment/experiment.h"

namespace linscope {
namespace {

using namespace proofs;

// Single precision against the definition in double, RMS of the error over RMS of the reference. Rounding
// of 1000-term sums in single precision stays near 1e-6; a wrong term is far above.
constexpr double kSingleBound = 1e-5;
// On tensor cores the factors of every product are rounded to 10 bits of fraction (TF32), or to 7 (bfloat16): errors of
// 1e-3 and 1e-2. The worst case has one token, whose gradients are differences of products that ought to be equal.
// bfloat16: 8 significant bits, unit roundoff u = 2⁻⁹. The longest way from the inputs to a gradient is five products
// (scores or the state, their product with values, and three of the backward pass: dO·Vᵀ, through the state, times Q
// or K), so ten factors that are rounded, each by at most u of its size; sums are in single precision and add nothing
// that counts. Were all ten of one sign, it would be 10u = 2.0e-2 of the terms' size, which the bound takes twice,
// since a gradient is smaller than its terms where they cancel. They are of either sign and rarely as large: a right
// form stays at a fraction of that, and one that rounds a sum, a denominator or an exponent does not.
constexpr double kTf32Bound = 2e-2, kBf16Bound = 4e-2;
// The same algebra in another order, in double.
constexpr double kDoubleBound = 1e-11;
// Central differences with h = 1e-5 in double: truncation h² ~ 1e-10, rounding ε/h ~ 1e-11, times the
// third derivatives' size.
constexpr double kDifferenceBound = 1e-7;

/// A mechanism and where its fused form is proved: on a device, or with nullptr on the processor.
struct Subject {
    const MechanismInfo& info;
    DeviceContext* device = nullptr;

    double bound() const {
        const Precision precision = device != nullptr ? device->precision() : Precision::Single;
        return precision == Precision::Single ? kSingleBound : precision == Precision::Tf32 ? kTf32Bound : kBf16Bound;
    }
};

class Proof {
public:
    Proof(const Subject& subject, std::string name, double bound) {
        m_result.mechanism = subject.info.name;
        m_result.device = subject.device != nullptr ? Device::Cuda : Device::Cpu;
        m_result.proof = std::move(name);
        m_result.bound = bound;
    }
    void add(double error, const Case& c) {
        ++m_result.cases;
        if (std::isnan(m_result.worst) || (error <= m_result.worst && m_result.cases > 1)) return;
        m_result.worst = error;
        m_result.worstCase = c.text();
    }
    ProofResult finish() {
        m_result.passed = m_result.cases > 0 && m_result.worst <= m_result.bound;  // false for NaN
        return m_result;
    }

private:
    ProofResult m_result;
};

/// The forms that a mechanism has: bidirectional, causal.
std::vector<bool> formsOf(const MechanismInfo& info) {
    std::vector<bool> forms;
    if (info.traits.bidirectional) forms.push_back(false);
    if (info.traits.causal) forms.push_back(true);
    return forms;
}

using Sizes = std::vector<std::pair<std::int64_t, std::int64_t>>;  // length, head width

void addCases(std::vector<Case>& cases, const Subject& subject, const Sizes& sizes, std::int64_t batch,
              std::int64_t heads, bool causal, Position position) {
    for (const auto& [length, width] : sizes) {
        Case c{
            &subject.info,
            {.layers = 2, .heads = heads, .headWidth = width, .length = length, .causal = causal, .position = position},
            batch,
            {},
            subject.device};
        for (OptionValues& options : subject.info.variants(c.sizes)) {
            if (subject.device != nullptr && !subject.info.cudaForm(options, c.sizes)) continue;
            c.options = std::move(options);
            cases.push_back(c);
        }
    }
}

/// Every variant in every form at the sizes. With `placed`, the two position schemes that a mechanism itself sees
/// to (and rotary, which some undo for a while) come on top at the first and the last but one size.
std::vector<Case> casesOf(const Subject& subject, const Sizes& sizes, std::int64_t batch, std::int64_t heads,
                          bool placed = false) {
    std::vector<Case> cases;
    for (const bool causal : formsOf(subject.info)) {
        addCases(cases, subject, sizes, batch, heads, causal, Position::None);
        if (!placed) continue;
        for (const Position position : {Position::Rotary, Position::Alibi, Position::RelativeBias})
            if (positionFit(subject.info, position, causal).fit != Fit::Refused)
                addCases(cases, subject, {sizes.front(), sizes[sizes.size() / 2]}, batch, heads, causal, position);
    }
    return cases;
}

double worstGradient(const Outcome& a, const Outcome& b) {
    double worst = 0;
    const auto take = [&](double error) {
        worst = std::isnan(error) || std::isnan(worst) ? std::nan("") : std::max(worst, error);
    };
    take(relativeError(a.dq, b.dq));
    take(relativeError(a.dk, b.dk));
    take(relativeError(a.dv, b.dv));
    for (std::size_t i = 0; i < a.dParameters.size(); ++i) take(relativeError(a.dParameters[i], b.dParameters[i]));
    return worst;
}

// Padding at the end of some sequences and in the middle of others; the first key is always kept.
std::vector<float> somePadding(const Case& c) {
    std::vector<float> keep(static_cast<std::size_t>(c.batch * c.sizes.length), 1.0f);
    for (std::int64_t b = 0; b < c.batch; ++b)
        for (std::int64_t t = 1; t < c.sizes.length; ++t)
            if (b % 2 == 1 ? t >= c.sizes.length * 2 / 3 : t % 5 == 3)
                keep[static_cast<std::size_t>(b * c.sizes.length + t)] = 0;
    return keep;
}

void naiveAgainstFused(const Subject& subject, std::vector<ProofResult>& results) {
    Proof forward(subject, "fused f32 = naive f64, forward", subject.bound());
    Proof gradients(subject, "fused f32 = naive f64, gradients", subject.bound());
    Proof rounded(subject, "fused bf16 = naive f64, forward", kBf16Bound);
    Proof roundedGradients(subject, "fused bf16 = naive f64, gradients", kBf16Bound);
    Proof wide(subject, "fused f64 = naive f64, all", kDoubleBound);
    std::vector<Case> cases = casesOf(subject, {{1, 32}, {63, 60}, {500, 32}, {1000, 64}}, 2, 2);
    for (Case& c : casesOf(subject, {{63, 60}, {130, 32}}, 2, 2, true))
        if (c.sizes.position != Position::None) cases.push_back(std::move(c));
    for (const Case& c : cases) {
        for (const bool padded : {false, true}) {
            Inputs inputs = randomInputs(c);
            if (padded) inputs.keep = somePadding(c);
            const Outcome reference = run(c, inputs, Form::Naive, DType::F64);
            const Outcome fused = run(c, inputs, Form::Fused, DType::F32);
            forward.add(relativeError(fused.o, reference.o), c);
            gradients.add(worstGradient(fused, reference), c);
            if (subject.device != nullptr) continue;  // it has its own precision, and no double
            Case inBf16 = c;
            inBf16.precision = Precision::Bf16;
            const Outcome fusedRounded = run(inBf16, inputs, Form::Fused, DType::F32);
            rounded.add(relativeError(fusedRounded.o, reference.o), c);
            roundedGradients.add(worstGradient(fusedRounded, reference), c);
            const Outcome fusedWide = run(c, inputs, Form::Fused, DType::F64);
            wide.add(std::max(relativeError(fusedWide.o, reference.o), worstGradient(fusedWide, reference)), c);
        }
    }
    for (Proof* proof : {&forward, &gradients}) results.push_back(proof->finish());
    if (subject.device != nullptr) return;
    for (Proof* proof : {&rounded, &roundedGradients, &wide}) results.push_back(proof->finish());
}

double weightedSum(const Outcome& outcome, const Inputs& inputs) {
    double sum = 0;
    for (std::size_t i = 0; i < outcome.o.size(); ++i) sum += outcome.o[i] * inputs.upstream[i];
    return sum;
}

ProofResult finiteDifferences(const Subject& subject) {
    constexpr double h = 1e-5;
    Proof proof(subject, "finite differences f64", kDifferenceBound);
    for (const Case& c : casesOf(subject, {{6, 3}}, 2, 2, true)) {
        Inputs inputs = randomInputs(c);
        const Outcome analytic = run(c, inputs, Form::Fused, DType::F64);
        const auto difference = [&](double& place) {
            const double saved = place;
            place = saved + h;
            const double above = weightedSum(run(c, inputs, Form::Fused, DType::F64), inputs);
            place = saved - h;
            const double below = weightedSum(run(c, inputs, Form::Fused, DType::F64), inputs);
            place = saved;
            return (above - below) / (2 * h);
        };
        for (const auto& [input, gradient] : {std::pair{&inputs.q, &analytic.dq}, std::pair{&inputs.k, &analytic.dk},
                                              std::pair{&inputs.v, &analytic.dv}}) {
            Numbers numeric;
            for (double& x : *input) numeric.push_back(difference(x));
            proof.add(relativeError(*gradient, numeric), c);
        }
        for (std::size_t p = 0; p < analytic.dParameters.size(); ++p) {
            if (analytic.dParameters[p].empty()) continue;  // a buffer
            Numbers numeric;
            for (std::size_t i = 0; i < analytic.dParameters[p].size(); ++i) {
                const auto shifted = [&](double by) {
                    return weightedSum(run(c, inputs, Form::Fused, DType::F64,
                                           [&](ParameterStore& store) { store.all()[p].value.as<double>()[i] += by; }),
                                       inputs);
                };
                numeric.push_back((shifted(h) - shifted(-h)) / (2 * h));
            }
            proof.add(relativeError(analytic.dParameters[p], numeric), c);
        }
    }
    return proof.finish();
}

// What a padded position holds changes nothing at all, NaN and huge numbers included, forward and backward.
ProofResult paddingInvariance(const Subject& subject) {
    Proof proof(subject, "padding changes nothing", 0.0);
    for (const Case& c : casesOf(subject, {{63, 32}, {500, 60}}, 3, 2)) {
        Inputs inputs = randomInputs(c);
        inputs.keep = somePadding(c);
        const Outcome clean = run(c, inputs, Form::Fused, DType::F32);
        const std::size_t row = static_cast<std::size_t>(c.sizes.heads * c.sizes.headWidth);
        for (const double poison : {1e30, std::numeric_limits<double>::quiet_NaN()}) {
            Inputs poisoned = inputs;
            for (std::size_t t = 0; t < inputs.keep.size(); ++t)
                if (inputs.keep[t] == 0)
                    for (std::size_t j = 0; j < row; ++j) poisoned.k[t * row + j] = poisoned.v[t * row + j] = poison;
            const Outcome outcome = run(c, poisoned, Form::Fused, DType::F32);
            double leak = std::max(relativeError(outcome.o, clean.o), worstGradient(outcome, clean));
            for (std::size_t t = 0; t < inputs.keep.size(); ++t)
                if (inputs.keep[t] == 0)
                    for (std::size_t j = 0; j < row; ++j)
                        leak = std::max({leak, std::abs(outcome.dk[t * row + j]), std::abs(outcome.dv[t * row + j])});
            proof.add(std::isnan(relativeError(outcome.o, clean.o)) ? std::nan("") : leak, c);
        }
    }
    return proof.finish();
}

// A sequence that ends early gives what the same sequence gives alone: no padding in any denominator.
ProofResult shorterSequences(const Subject& subject) {
    Proof proof(subject, "padded = shorter sequence", subject.bound());
    for (const Case& c : casesOf(subject, {{63, 32}, {500, 60}}, 1, 2)) {
        const std::int64_t length = c.sizes.length * 2 / 3;
        const std::size_t count = static_cast<std::size_t>(length * c.sizes.heads * c.sizes.headWidth);
        Inputs padded = randomInputs(c);
        padded.keep.assign(static_cast<std::size_t>(c.sizes.length), 0.0f);
        std::fill_n(padded.keep.begin(), length, 1.0f);
        std::fill(padded.upstream.begin() + static_cast<std::ptrdiff_t>(count), padded.upstream.end(), 0.0);
        Inputs alone = padded;
        alone.keep.clear();
        alone.length = length;
        for (Numbers* numbers : {&alone.q, &alone.k, &alone.v, &alone.upstream}) numbers->resize(count);
        Outcome whole = run(c, padded, Form::Fused, DType::F32);
        const Outcome part = run(c, alone, Form::Fused, DType::F32);
        for (Numbers* numbers : {&whole.o, &whole.dq, &whole.dk, &whole.dv}) numbers->resize(count);
        proof.add(std::max(relativeError(whole.o, part.o), worstGradient(whole, part)), c);
    }
    return proof.finish();
}

// A sample's output does not depend on its neighbours in the batch.
ProofResult batchIndependence(const Subject& subject) {
    Proof proof(subject, "batch independence", subject.bound());
    for (const Case& c : casesOf(subject, {{63, 32}, {500, 64}}, 3, 2)) {
        const Inputs inputs = randomInputs(c);
        const Outcome together = run(c, inputs, Form::Fused, DType::F32);
        const std::size_t count = inputs.q.size() / 3;
        for (std::size_t b = 0; b < 3; ++b) {
            Case single = c;
            single.batch = 1;
            const auto slice = [&](const Numbers& all) {
                const auto begin = all.begin() + static_cast<std::ptrdiff_t>(b * count);
                return Numbers(begin, begin + static_cast<std::ptrdiff_t>(count));
            };
            const Inputs own{inputs.length,   slice(inputs.q),        slice(inputs.k),
                             slice(inputs.v), slice(inputs.upstream), {}};
            const Outcome alone = run(single, own, Form::Fused, DType::F32);
            proof.add(
                std::max({relativeError(slice(together.o), alone.o), relativeError(slice(together.dq), alone.dq),
                          relativeError(slice(together.dk), alone.dk), relativeError(slice(together.dv), alone.dv)}),
                c);
        }
    }
    return proof.finish();
}

// What comes later changes nothing at all: ∂o_i/∂x_j = 0 for j > i, with NaN and huge numbers in the future's place.
ProofResult causality(const Subject& subject) {
    Proof proof(subject, "the future changes nothing", 0.0);
    for (const auto& [length, width] : Sizes{{63, 32}, {500, 60}}) {
        std::vector<Case> cases;
        addCases(cases, subject, {{length, width}}, 1, 2, true, Position::None);
        for (const Case& c : cases) {
            const Inputs inputs = randomInputs(c);
            const Outcome whole = run(c, inputs, Form::Fused, DType::F32);
            const std::size_t row = static_cast<std::size_t>(c.sizes.heads * c.sizes.headWidth);
            for (const std::int64_t last : {std::int64_t{0}, length / 3, length / 2, length - 2}) {
                const std::size_t count = static_cast<std::size_t>(last + 1) * row;
                for (const double future : {0.0, 1e3}) {
                    Inputs changed = inputs;
                    for (Numbers* numbers : {&changed.q, &changed.k, &changed.v})
                        for (std::size_t i = count; i < numbers->size(); ++i) (*numbers)[i] = future - (*numbers)[i];
                    Outcome outcome = run(c, changed, Form::Fused, DType::F32);
                    Numbers past(whole.o.begin(), whole.o.begin() + static_cast<std::ptrdiff_t>(count));
                    outcome.o.resize(count);
                    double leak = 0;
                    for (std::size_t i = 0; i < count; ++i) leak = std::max(leak, std::abs(outcome.o[i] - past[i]));
                    proof.add(std::isnan(relativeError(outcome.o, past)) ? std::nan("") : leak, c);
                }
            }
        }
    }
    return proof.finish();
}

/// Token by token, or by `blocks` of so many in turn, sequences of `sizes`, and with positions those of `placed`, give
/// what the whole sequence gives, also when the state is saved and loaded half-way.
ProofResult decoded(Proof proof, const Subject& subject, const Sizes& sizes, const Sizes& placed,
                    std::span<const std::int64_t> blocks) {
    std::vector<Case> cases;
    addCases(cases, subject, sizes, 1, 2, true, Position::None);
    for (const Position position : {Position::Rotary, Position::Alibi, Position::RelativeBias})
        if (positionFit(subject.info, position, true).fit != Fit::Refused)
            addCases(cases, subject, placed, 1, 2, true, position);
    for (const Case& c : cases) {
        const Inputs inputs = randomInputs(c);
        const Outcome whole = run(c, inputs, Form::Naive, DType::F64);
        proof.add(relativeError(decode(c, inputs, blocks), whole.o), c);
    }
    return proof.finish();
}

ProofResult decoding(const Subject& subject) {
    return decoded(Proof(subject, "token by token = whole sequence", kSingleBound), subject,
                   {{1, 32}, {63, 60}, {200, 32}}, {{130, 32}}, {});
}

// Whatever a block's length and wherever it begins: a step among blocks, blocks of several tiles and chunks and of
// parts of one, longer than windows and shorter.
ProofResult reading(const Subject& subject) {
    static constexpr std::int64_t kBlocks[] = {5, 1, 70, 2, 290};
    return decoded(Proof(subject, "by blocks = whole sequence", kSingleBound), subject, {{1, 32}, {63, 60}, {500, 32}},
                   {{400, 32}}, kBlocks);
}

ProofResult optionsRoundTrip(const Subject& subject) {
    Proof proof(subject, "options to TOML and back", 0.0);
    for (const Case& c : casesOf(subject, {{64, 32}}, 1, 2)) {
        Experiment experiment;
        experiment.model.layers = c.sizes.layers;
        experiment.model.heads = c.sizes.heads;
        experiment.model.width = c.sizes.heads * c.sizes.headWidth;
        experiment.model.kind = c.sizes.causal ? "decoder" : "encoder";  // some mechanisms have one form alone
        experiment.lanes = {{.name = "proof", .mechanism = std::string(subject.info.name), .options = c.options}};
        const Experiment read = Experiment::fromToml(experiment.toToml(), "proof");
        const OptionValues& back = read.lanes.at(0).options;
        double differences = 0;
        for (const auto& [name, value] : c.options) {
            const OptionValue* found = findValue(back, name);
            if (found == nullptr || *found != value) ++differences;
        }
        subject.info.validate(back, c.sizes);
        proof.add(differences, c);
    }
    return proof.finish();
}

}  // namespace

std::vector<ProofResult> runProofs(const MechanismInfo& info, const std::function<void(const std::string&)>& progress,
                                   DeviceContext* device) {
    struct Named {
        const char* name;
        ProofResult (*prove)(const Subject&);
        bool onDevices;  ///< finite differences need double precision; options and decoding are the processor's
        bool causal;
    };
    static constexpr Named kProofs[] = {{"finite differences", &finiteDifferences, false, false},
                                        {"padding", &paddingInvariance, true, false},
                                        {"shorter sequences", &shorterSequences, true, false},
                                        {"batch independence", &batchIndependence, true, false},
                                        {"options", &optionsRoundTrip, false, false},
                                        {"causality", &causality, true, true},
                                        {"decoding", &decoding, false, true},
                                        {"reading", &reading, false, true}};
    require(device == nullptr || info.cudaForm != nullptr, info.name,
            "a CUDA form of {} was required, but it has none yet; use --device cpu", info.name);
    const Subject subject{info, device};
    std::vector<ProofResult> results;
    const auto announce = [&](const char* name) {
        if (progress) progress(name);
    };
    announce("naive against fused");
    naiveAgainstFused(subject, results);
    for (const Named& proof : kProofs) {
        if ((device != nullptr && !proof.onDevices) || (proof.causal && !info.traits.causal)) continue;
        announce(proof.name);
        results.push_back(proof.prove(subject));
    }
    if (device != nullptr || info.theory == nullptr) return results;
    announce("theory");
    for (const TheoryResult& found : info.theory())
        results.push_back({.mechanism = std::string(info.name),
                           .proof = "theory: " + found.claim,
                           .worst = found.error,
                           .bound = found.bound,
                           .passed = found.error <= found.bound,
                           .cases = 1,
                           .worstCase = found.claim});
    return results;
}

}  // namespace linscope
