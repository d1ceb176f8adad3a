#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "core/attention/mechanism.h"
#include "core/base/error.h"
#include "core/base/random.h"

// Snapshots of every registered mechanism, made from its registration alone.

namespace linscope::test {

/// Far from first values, buffers too.
inline void disturb(ParameterStore& store) {
    for (Parameter& p : store.all()) {
        Random random(23, "disturbed " + p.name);
        for (float& x : p.value.span<float>()) x += 0.4f * static_cast<float>(random.normal());
    }
}

/// A snapshot of random q, k and v of two samples, and of what the mechanism holds.
inline Snapshot snapshotOf(const MechanismInfo& info, const OptionValues& options, const AttentionSizes& sizes,
                           const Mechanism& mechanism, const ParameterStore& store) {
    Random random(5, "heads");
    Snapshot s;
    s.mechanism = info.name;
    s.options = options;
    s.causal = sizes.causal;
    s.position = sizes.position;
    s.samples = 2;
    s.heads = sizes.heads;
    s.length = sizes.length;
    s.headWidth = sizes.headWidth;
    s.layers.resize(static_cast<std::size_t>(sizes.layers));
    for (LayerSnapshot& layer : s.layers)
        for (auto* values : {&layer.q, &layer.k, &layer.v}) {
            values->resize(static_cast<std::size_t>(s.samples * sizes.heads * sizes.length * sizes.headWidth));
            for (float& x : *values) x = static_cast<float>(random.normal());
        }
    s.projections = mechanism.projections();
    s.parameters = mechanism.parameterValues(store);
    return s;
}

/// The same of a mechanism whose parameters have been disturbed.
inline Snapshot disturbedSnapshot(const MechanismInfo& info, const OptionValues& options, const AttentionSizes& sizes) {
    ParameterStore store(11);
    const auto mechanism = info.create(options, sizes, store);
    disturb(store);
    return snapshotOf(info, options, sizes, *mechanism, store);
}

inline std::string textOf(const Snapshot& s) {
    std::string text = fmt::format("{} T{}{} {}", s.mechanism, s.length, s.causal ? " causal" : "", nameOf(s.position));
    for (const auto& [name, value] : s.options) text += fmt::format(" {}={}", name, toTomlText(value));
    return text;
}

inline std::vector<const MechanismInfo*> allMechanisms() {
    std::vector<const MechanismInfo*> all;
    for (const MechanismInfo& info : mechanisms()) all.push_back(&info);
    return all;
}

/// The forms that a mechanism has at these sizes: bidirectional and causal, without and with the position schemes that
/// it accepts.
inline std::vector<AttentionSizes> formsOf(const MechanismInfo& info, AttentionSizes sizes) {
    std::vector<AttentionSizes> forms;
    for (const bool causal : {false, true}) {
        if (causal ? !info.traits.causal : !info.traits.bidirectional) continue;
        for (const Position position : {Position::None, Position::Rotary, Position::Alibi, Position::RelativeBias}) {
            if (position != Position::None && positionFit(info, position, causal).fit == Fit::Refused) continue;
            sizes.causal = causal;
            sizes.position = position;
            forms.push_back(sizes);
        }
    }
    return forms;
}

/// The variants of the proofs; of a hybrid also parts that have parameters of every kind.
inline std::vector<OptionValues> choicesOf(const MechanismInfo& info, const AttentionSizes& sizes) {
    std::vector<OptionValues> choices = info.variants(sizes);
    if (info.name != "hybrid") return choices;
    for (const char* plan : {"linformer(k=4,kind=convolution)*1 + full", "reformer(chunk=8)*1 + window(window=6)",
                             "gated_delta(normalise=false)*1 + linear(features=hedgehog) | performer(m=8)"}) {
        const OptionValues options{{"plan", std::string(plan)}};
        try {
            checkAttention(info, options, sizes);
            choices.push_back(options);
        } catch (const Error&) {  // not in this form, or not with this position scheme
        }
    }
    return choices;
}

}  // namespace linscope::test
