#include "core/attention/hybrid/hybrid.h"
#include "core/attention/proof_case.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/ops/elementwise.h"
#include "core/ops/pointwise.h"

namespace linscope {

void HybridOptions::visit(OptionVisitor& visitor) {
    visitor.text({"plan", "",
                  "Layers apart by |, parts of a layer by +, each a mechanism with its options and heads: "
                  "\"window(window=64)*2 + linear*2 | full\"."},
                 plan);
}

namespace {

AttentionSizes sizesOf(const HybridPart& part, const AttentionSizes& sizes) {
    AttentionSizes own = sizes;
    own.layers = 1;
    own.heads = part.heads;
    return own;
}

/// Every part must be possible by itself.
void validate(const HybridOptions& options, const AttentionSizes& sizes) {
    for (const auto& layer : readPlan(options.plan, sizes.layers, sizes.heads))
        for (const HybridPart& part : layer) checkAttention(*part.info, part.options, sizesOf(part, sizes));
}

/// Heads [begin, begin + count) of x [B,T,H,D].
Variable someHeads(const Variable& x, std::int64_t begin, std::int64_t count) {
    const Shape& s = x.shape();
    if (count == s[2]) return x;
    return reshape(slice(reshape(x, {s[0] * s[1], s[2], s[3]}), begin, count), {s[0], s[1], count, s[3]});
}

std::vector<std::int64_t> headsOf(const std::vector<std::unique_ptr<Mechanism>>& parts) {
    std::vector<std::int64_t> heads;
    for (const auto& part : parts) heads.push_back(part->sizes().heads);
    return heads;
}

/// function(part, its heads of q, k and v) of all parts beside one another, parts[i] having heads[i] heads: [B,T,H,D].
template <typename Function>
Variable byParts(std::span<const std::int64_t> heads, const Variable& q, const Variable& k, const Variable& v,
                 Function&& function) {
    const Shape& s = q.shape();
    std::vector<Variable> outputs;
    std::int64_t head = 0;
    for (std::size_t i = 0; i < heads.size(); head += heads[i++])
        outputs.push_back(
            function(i, someHeads(q, head, heads[i]), someHeads(k, head, heads[i]), someHeads(v, head, heads[i])));
    if (outputs.size() == 1) return outputs[0];
    for (Variable& o : outputs) o = reshape(o, {s[0] * s[1], o.shape()[2], s[3]});
    return reshape(concatenate(outputs), s);
}

class HybridDecoding : public DecodingState {
public:
    HybridDecoding(std::vector<std::unique_ptr<DecodingState>> parts, std::vector<std::int64_t> heads,
                   std::int64_t width)
        : m_parts(std::move(parts)), m_heads(std::move(heads)), m_width(width) {}

    void step(std::span<const float> q, std::span<const float> k, std::span<const float> v,
              std::span<float> o) override {
        std::size_t at = 0;
        for (std::size_t i = 0; i < m_parts.size(); ++i) {
            const auto numbers = static_cast<std::size_t>(m_heads[i] * m_width);
            m_parts[i]->step(q.subspan(at, numbers), k.subspan(at, numbers), v.subspan(at, numbers),
                             o.subspan(at, numbers));
            at += numbers;
        }
    }

    Variable read(const Variable& q, const Variable& k, const Variable& v) override {
        return byParts(m_heads, q, k, v,
                       [&](std::size_t i, const Variable& ownQ, const Variable& ownK, const Variable& ownV) {
                           return m_parts[i]->read(ownQ, ownK, ownV);
                       });
    }

    /// Each part's numbers after their count, which two floats hold exactly.
    std::vector<float> save() const override {
        std::vector<float> all;
        for (const auto& part : m_parts) {
            const std::vector<float> own = part->save();
            const auto count = countToFloats(static_cast<std::int64_t>(own.size()));
            all.insert(all.end(), count.begin(), count.end());
            all.insert(all.end(), own.begin(), own.end());
        }
        return all;
    }

    void load(std::span<const float> numbers) override {
        for (const auto& part : m_parts) {
            require(numbers.size() >= 2, "hybrid", "a state of {} parts, but it ends early", m_parts.size());
            const auto count = static_cast<std::size_t>(countFromFloats(numbers));
            require(numbers.size() >= 2 + count, "hybrid", "{} numbers for a part, but {} are left", count,
                    numbers.size() - 2);
            part->load(numbers.subspan(2, count));
            numbers = numbers.subspan(2 + count);
        }
        require(numbers.empty(), "hybrid", "a state of {} parts, but {} numbers are left over", m_parts.size(),
                numbers.size());
    }

private:
    std::vector<std::unique_ptr<DecodingState>> m_parts;
    std::vector<std::int64_t> m_heads;  ///< by part
    std::int64_t m_width;               ///< of each of them
};

/// Whether something holds of every part.
template <typename Holds>
bool forParts(const OptionValues& options, const AttentionSizes& sizes, Holds&& holds) {
    for (const auto& layer : readPlan(optionsFrom<HybridOptions>(options, "hybrid").plan, sizes.layers, sizes.heads))
        for (const HybridPart& part : layer)
            if (!holds(part, sizesOf(part, sizes))) return false;
    return true;
}

/// Why the first of the parts without a token map has none.
std::string noTokenMap(const OptionValues& options, const AttentionSizes& sizes) {
    for (const auto& layer : readPlan(optionsFrom<HybridOptions>(options, "hybrid").plan, sizes.layers, sizes.heads))
        for (const HybridPart& part : layer) {
            if (part.info->noTokenMap == nullptr) continue;
            const std::string reason = part.info->noTokenMap(part.options, sizesOf(part, sizes));
            if (!reason.empty()) return fmt::format("in its part {}, {}", part.info->name, reason);
        }
    return {};
}

std::vector<OptionValues> variants(const AttentionSizes& sizes) {
    std::vector<OptionValues> all;
    for (const char* plan : {"full*1 + window(window=5)", "window(window=3) | full", "linformer(k=1)*1 + full",
                             "linear*1 + window(window=7)", "performer(m=8)*1 + full | linear"}) {
        OptionValues options{{"plan", std::string(plan)}};
        try {
            validate(optionsFrom<HybridOptions>(options, "hybrid"), sizes);
            all.push_back(std::move(options));
        } catch (const Error&) {  // not in this form, or not with this position scheme
        }
    }
    return all;
}

}  // namespace

HybridAttention::HybridAttention(const HybridOptions& options, const AttentionSizes& sizes, ParameterStore& parameters)
    : Mechanism(sizes) {
    validate(options, sizes);
    int layer = 0;
    for (const auto& parts : readPlan(options.plan, sizes.layers, sizes.heads)) {
        auto& made = m_layers.emplace_back();
        std::int64_t head = 0;
        for (const HybridPart& part : parts) {
            const std::string name = fmt::format("part{}", made.size());
            const ParameterStore::Scope scope(parameters, fmt::format("attention.layer{}.{}.", layer, name));
            made.push_back(part.info->create(part.options, sizesOf(part, sizes), parameters));
            adoptProjections(*made.back(), parts.size() == 1 ? "" : name + ".", layer, static_cast<int>(head));
            head += part.heads;
        }
        ++layer;
    }
}

std::string HybridAttention::beforeStep(std::int64_t step) {
    std::string happened;
    for (const auto& layer : m_layers)
        for (const auto& part : layer)
            if (const std::string what = part->beforeStep(step); !what.empty()) happened = what;
    return happened;
}

template <typename Run>
Variable HybridAttention::runParts(const AttentionInput& input, Run&& run) const {
    const auto& parts = m_layers[static_cast<std::size_t>(input.layer)];
    return byParts(headsOf(parts), input.q, input.k, input.v,
                   [&](std::size_t i, const Variable& q, const Variable& k, const Variable& v) {
                       return run(*parts[i], AttentionInput{.layer = 0, .q = q, .k = k, .v = v, .keep = input.keep});
                   });
}

Variable HybridAttention::forwardImpl(const AttentionInput& input) const {
    return runParts(input, [](const Mechanism& part, const AttentionInput& own) { return part.forward(own); });
}

Variable HybridAttention::naiveImpl(const AttentionInput& input) const {
    return runParts(input, [](const Mechanism& part, const AttentionInput& own) { return part.naive(own); });
}

std::unique_ptr<DecodingState> HybridAttention::startDecodingImpl(int layer) const {
    const auto& parts = m_layers[static_cast<std::size_t>(layer)];
    std::vector<std::unique_ptr<DecodingState>> states;
    for (const auto& part : parts) states.push_back(part->startDecoding(0));
    return std::make_unique<HybridDecoding>(std::move(states), headsOf(parts), sizes().headWidth);
}

namespace {

std::vector<TheoryResult> theory() {
    const AttentionSizes sizes{.layers = 2, .heads = 2, .headWidth = 4, .length = 16, .causal = true};
    const proofs::Case one{&findMechanism("hybrid"), sizes, 2, {{"plan", std::string("window(window=3)")}}};
    const proofs::Case window{&findMechanism("window"), sizes, 2, {{"window", std::int64_t{3}}}};
    return {
        {"a plan of one part is that mechanism", proofs::difference(one, window, proofs::randomInputs(window)), 0.0}};
}

}  // namespace

MechanismInfo hybridMechanism() {
    return {
        .name = "hybrid",
        .title = "Hybrid",
        .summary = "Any mixture of the other mechanisms, by layer and by head, after a plan in words.",
        .paper = "heads: Choromanski et al. 2020; layers: Ren et al. 2024 (Samba), arXiv:2406.07522",
        .traits = {.causal = true, .signedMap = true, .mapAxis = MapAxis::Tokens},
        .options = specsOf<HybridOptions>(),
        .create = [](const OptionValues& options, const AttentionSizes& sizes,
                     ParameterStore& parameters) -> std::unique_ptr<Mechanism> {
            return std::make_unique<HybridAttention>(optionsFrom<HybridOptions>(options, "hybrid"), sizes, parameters);
        },
        .validate = [](const OptionValues& options,
                       const AttentionSizes& sizes) { validate(optionsFrom<HybridOptions>(options, "hybrid"), sizes); },
        .variants = variants,
        .position = [](Position, bool) -> PositionFit {
            return {Fit::Approximate, "as its parts have it, or refuse it"};
        },
        .cudaForm =
            [](const OptionValues& options, const AttentionSizes& sizes) {
                return forParts(options, sizes, [](const HybridPart& part, const AttentionSizes& own) {
                    return part.info->cudaForm != nullptr && part.info->cudaForm(part.options, own);
                });
            },
        .cudaForms = "plans have one all of whose parts do",
        .noTokenMap = noTokenMap,
        .theory = theory,
    };
}

}  // namespace linscope
