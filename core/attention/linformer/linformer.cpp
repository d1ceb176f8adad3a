#include "core/attention/linformer/linformer.h"
#include "core/attention/proof_case.h"

#include <algorithm>

#include "core/attention/linformer/compress.h"
#include "core/attention/linformer/linformer_maps.h"
#include "core/attention/linformer/pooled.h"
#include "core/attention/softmax_attention.h"
#include "core/base/error.h"

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
        sharingNames());
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

// Entries N(0, 1/k), as the random projections of Theorem 1 have.
ProjectionPlan planOf(const LinformerOptions& options, const AttentionSizes& sizes) {
    ProjectionPlan plan{
        .sharing = options.sharingMode(), .columns = sizes.length, .trained = options.kind == "learned"};
    for (std::int64_t layer = 0; layer < sizes.layers; ++layer) plan.slots.push_back(options.slotsOf(layer));
    return plan;
}

}  // namespace

LinformerAttention::LinformerAttention(const LinformerOptions& options, const AttentionSizes& sizes,
                                       ParameterStore& parameters)
    : Mechanism(sizes),
      m_projections(planOf(options, sizes), sizes, parameters,
                    [this](const char* name, int layer, int head, Parameter* matrix) {
                        addProjection(name, layer, head, matrix);
                    }) {}

Variable LinformerAttention::forwardImpl(const AttentionInput& input) const {
    return attend(input.q, compress(m_projections.e(input.layer), input.k, input.keep),
                  compress(m_projections.f(input.layer), input.v, input.keep));
}

Variable LinformerAttention::naiveImpl(const AttentionInput& input) const {
    return softmaxAttention(input.q, plainCompress(m_projections.e(input.layer), input.k, input.keep),
                            plainCompress(m_projections.f(input.layer), input.v, input.keep));
}

namespace {

std::vector<TheoryResult> theory() {
    const AttentionSizes sizes{.heads = 2, .headWidth = 8, .length = 12};
    const proofs::Case linformer{&findMechanism("linformer"), sizes, 2, {{"k", std::vector<std::int64_t>{12}}}};
    const proofs::Case full{&findMechanism("full"), sizes, 2, {}};
    const auto identity = [](ParameterStore& store) {
        const Tensor& e = store.find("attention.E")->value;
        for (std::int64_t i = 0; i < e.elements(); ++i) e.as<double>()[i] = i % 13 == 0 ? 1 : 0;
    };
    return {{"E = F = I is exact attention", proofs::difference(linformer, full, proofs::randomInputs(full), identity),
             1e-12}};
}

}  // namespace

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
        .cudaForm = [](const OptionValues&,
                       const AttentionSizes& sizes) { return sizes.headWidth <= cuda::kMostHeadWidth; },
        .cudaForms = "head widths up to 128 have one",
        .theory = theory,
    };
}

}  // namespace linscope
