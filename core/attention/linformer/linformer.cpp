#include "core/attention/linformer/linformer.h"

#include <fmt/format.h>

#include <cmath>

#include "core/attention/linformer/compress.h"
#include "core/attention/linformer/linformer_maps.h"
#include "core/attention/linformer/pooled.h"
#include "core/attention/softmax_attention.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"

namespace linscope {

void LinformerOptions::visit(OptionVisitor& visitor) {
    visitor.choice({"kind", "",
                    "Learned matrices; a learned convolution whose kernel is its stride; means of neighbours; a fixed "
                    "random matrix."},
                   kind, {"learned", "convolution", "mean", "gaussian"});
    visitor.perLayer({"k", "slots", "Length of the compressed keys and values; one number, or one for each layer."}, k,
                     {.minimum = 1});
    visitor.choice(
        {"sharing", "", "Which layers and heads use the same projection; key_value and layerwise have E = F."}, sharing,
        {"none", "headwise", "key_value", "layerwise"});
}

Sharing LinformerOptions::sharingMode() const {
    return sharing == "none"        ? Sharing::None
           : sharing == "headwise"  ? Sharing::Headwise
           : sharing == "key_value" ? Sharing::KeyValue
                                    : Sharing::Layerwise;
}

std::int64_t LinformerOptions::slotsOf(std::int64_t layer) const {
    return k.size() == 1 ? k[0] : k[static_cast<std::size_t>(layer)];
}

namespace {

void validate(const LinformerOptions& options, const AttentionSizes& sizes) {
    require(options.k.size() == 1 || static_cast<std::int64_t>(options.k.size()) == sizes.layers, "linformer",
            "k needs one value, or one for each of {} layers, but got {}", sizes.layers, options.k.size());
    for (std::int64_t k : options.k)
        require(k >= 1 && k <= sizes.length, "linformer",
                "k must be between 1 and the length {}, but is {}; lower k or raise task.length", sizes.length, k);
    bool uniform = true;
    for (std::int64_t k : options.k) uniform = uniform && k == options.k[0];
    require(uniform || options.sharingMode() != Sharing::Layerwise, "linformer",
            "sharing \"layerwise\" has one matrix for all layers and so one k, but k differs by layer; "
            "choose sharing \"key_value\", \"headwise\" or \"none\"");
}

// Every sharing mode, with k that divides nothing, and a k of its own for each layer where that is allowed.
std::vector<OptionValues> variants(const AttentionSizes& sizes) {
    const std::int64_t k = std::max<std::int64_t>(1, std::min<std::int64_t>(sizes.length / 2, 37));
    std::vector<OptionValues> all;
    for (const char* sharing : {"none", "headwise", "key_value", "layerwise"})
        all.push_back({{"k", std::vector{k}}, {"sharing", std::string(sharing)}});
    std::vector<std::int64_t> perLayer;
    for (std::int64_t layer = 0; layer < sizes.layers; ++layer)
        perLayer.push_back(std::max<std::int64_t>(1, k - layer));
    all.push_back({{"k", perLayer}, {"sharing", std::string("headwise")}});
    for (const char* kind : {"convolution", "mean", "gaussian"})
        all.push_back({{"kind", std::string(kind)}, {"k", std::vector{k}}, {"sharing", std::string("headwise")}});
    all.push_back({{"kind", std::string("convolution")}, {"k", std::vector{k}}, {"sharing", std::string("none")}});
    return all;
}

}  // namespace

LinformerAttention::LinformerAttention(const LinformerOptions& options, const AttentionSizes& sizes,
                                       ParameterStore& parameters)
    : Mechanism(sizes), m_sharing(options.sharingMode()) {
    const bool trained = options.kind == "learned";
    // Entries N(0, 1/k), as the random projections of Theorem 1 have.
    const auto add = [&](const std::string& prefix, const char* name, std::int64_t slots, std::int64_t layer,
                         std::int64_t head) {
        Parameter* parameter = &parameters.add(prefix + name, {slots, sizes.length},
                                               {.standardDeviation = 1.0 / std::sqrt(static_cast<double>(slots)),
                                                .decay = false,
                                                .projection = trained,
                                                .buffer = !trained});
        addProjection(name, m_sharing == Sharing::Layerwise ? -1 : static_cast<int>(layer),
                      perHead() ? static_cast<int>(head) : -1, parameter);
        return parameter;
    };
    for (std::int64_t layer = 0; layer < sizes.layers; ++layer) {
        const std::int64_t slots = options.slotsOf(layer);
        for (std::int64_t head = 0; head < perLayer(); ++head) {
            const std::string prefix = perHead() ? fmt::format("attention.layer{}.head{}.", layer, head)
                                                 : fmt::format("attention.layer{}.", layer);
            if (m_sharing == Sharing::Layerwise)
                m_e.push_back(layer == 0 ? add("attention.", "E", slots, layer, head) : m_e[0]);
            else
                m_e.push_back(add(prefix, "E", slots, layer, head));
            const bool same = m_sharing == Sharing::Layerwise || m_sharing == Sharing::KeyValue;
            m_f.push_back(same ? m_e.back() : add(prefix, "F", slots, layer, head));
        }
    }
}

Variable LinformerAttention::forwardImpl(const AttentionInput& input) const {
    return attend(input.q, compress(ofLayer(m_e, input.layer), input.k, input.keep),
                  compress(ofLayer(m_f, input.layer), input.v, input.keep));
}

Variable LinformerAttention::naiveImpl(const AttentionInput& input) const {
    const auto project = [&](std::span<Parameter* const> projections, const Variable& x) {
        std::vector<Variable> leaves;
        for (const Parameter* p : projections) leaves.push_back(leafOf(x.tape(), *p));
        const Variable projection = perHead() ? stack(leaves) : leaves[0];  // [H,K,T] or [K,T]
        const Variable tokens = withoutPadding(x, input.keep);
        return swapMiddle(matmul(firstColumns(projection, x.shape()[1]), swapMiddle(tokens)));
    };
    return softmaxAttention(input.q, project(ofLayer(m_e, input.layer), input.k),
                            project(ofLayer(m_f, input.layer), input.v));
}

MechanismInfo linformerMechanism() {
    return {
        .name = "linformer",
        .title = "Linformer",
        .summary = "Keys and values compressed along the sequence to k slots by learned projections E and F.",
        .paper = "Wang et al. 2020, arXiv:2006.04768",
        .traits = {.signedMap = true, .fixedLength = true, .mapAxis = MapAxis::Slots},
        .options = specsOf<LinformerOptions>(),
        .create = [](const OptionValues& options, const AttentionSizes& sizes,
                     ParameterStore& parameters) -> std::unique_ptr<Mechanism> {
            const auto chosen = optionsFrom<LinformerOptions>(options, "linformer");
            validate(chosen, sizes);
            if (chosen.kind == "convolution" || chosen.kind == "mean")
                return std::make_unique<PooledLinformer>(chosen, sizes, parameters);
            return std::make_unique<LinformerAttention>(chosen, sizes, parameters);
        },
        .validate =
            [](const OptionValues& options, const AttentionSizes& sizes) {
                validate(optionsFrom<LinformerOptions>(options, "linformer"), sizes);
            },
        .variants = variants,
        .position = [](Position position, bool) -> PositionFit {
            if (position == Position::Rotary)
                return {Fit::Approximate, "a slot mixes keys of many places, so that relative terms blur"};
            return {Fit::Refused, "a slot has no place, so that it has no distance from a query"};
        },
        .compressedMap = linformerCompressedMap,
        .liftedMap = linformerLiftedMap,
        .cudaForm =
            [](const OptionValues& options, const AttentionSizes& sizes) {
                const std::string kind = optionsFrom<LinformerOptions>(options, "linformer").kind;
                return sizes.headWidth <= cuda::kMostHeadWidth && (kind == "learned" || kind == "gaussian");
            },
        .cudaForms = "kind \"learned\" and \"gaussian\" with head widths up to 128 have one",
    };
}

}  // namespace linscope
