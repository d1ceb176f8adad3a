#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/io/run_file.h"

// A run without training: a task, two lanes and events whose values follow from step and lane alone.

namespace linscope::synthetic {

class SyntheticTask : public Task {
public:
    explicit SyntheticTask(std::int64_t length) : m_length(length) {}
    std::int64_t vocabulary() const override { return 4; }
    std::int64_t length() const override { return m_length; }
    std::int64_t batch() const override { return 2; }
    void nextBatch(Batch&) override {}
    void validationBatch(std::int64_t, Batch&) const override {}
    std::vector<TaskBaseline> baselines() const override {
        return {{"validation_bits_per_byte", "unigram entropy of the corpus", 4.5}};
    }
    std::string tokenText(std::int32_t token) const override {
        return std::vector<std::string>{"a", "␣", "⏎", "[MASK]"}.at(static_cast<std::size_t>(token));
    }
    std::string description() const override { return "synthetic: no text at all"; }
    Random::State cursor() const override { return {}; }
    void setCursor(const Random::State&) override {}

private:
    std::int64_t m_length;
};

struct Sizes {
    std::int64_t layers = 2, heads = 4, length = 64, headWidth = 8, slots = 8, samples = 1;
};

inline Experiment experiment(const Sizes& sizes) {
    Experiment experiment;
    experiment.title = "Synthetic run";
    experiment.model.layers = sizes.layers;
    experiment.model.heads = sizes.heads;
    experiment.model.width = sizes.heads * sizes.headWidth;
    experiment.probes.samples = sizes.samples;
    experiment.task.options = {{"length", sizes.length}};
    experiment.lanes = {{"full", "full", {}}, {"linformer", "linformer", {{"k", sizes.slots}}}};
    return experiment;
}

inline Projection projection(const Sizes& sizes, const char* name, float value) {
    Projection projection;
    projection.name = name;
    projection.layer = -1;
    projection.head = -1;
    projection.slots = sizes.slots;
    projection.length = sizes.length;
    projection.values.assign(static_cast<std::size_t>(sizes.slots * sizes.length), value);
    return projection;
}

/// Of lane 1: a mechanism's parameters that are no projections.
inline std::vector<ParameterValues> parameters(float value) {
    return {{"attention.layer0.kernel", {2, 3}, {value, 1, 2, 3, 4, 5}},
            {"attention.layer1.bias", {6}, {5, 4, 3, 2, 1, value}},
            {"attention.layer1.gain", {1}, {value}}};
}

inline std::vector<LaneLayout> layouts(const Sizes& sizes) {
    return {
        {"full", "full", 1000, {}},
        {"linformer", "linformer", 1200, {projection(sizes, "E", 0.5F), projection(sizes, "F", 0.25F)}, parameters(0)}};
}

inline double lossAt(std::int64_t step, int lane) {
    return 5.0 / (1.0 + 0.01 * static_cast<double>(step)) + lane;
}

inline StepEvent stepEvent(std::int64_t step) {
    StepEvent event;
    event.step = step;
    event.wallSeconds = 0.1 * static_cast<double>(step);
    for (int lane = 0; lane < 2; ++lane) {
        LaneStep values;
        values.loss = lossAt(step, lane);
        values.accuracy = 0.5;
        values.gradientNorm = 1.5;
        values.learningRate = 1e-3;
        values.milliseconds = 100;
        values.tokensPerSecond = 4e4;
        values.memoryBytes = 1e7;
        event.lanes.push_back(values);
    }
    return event;
}

inline ValidationEvent validationEvent(std::int64_t step, int lane) {
    const double loss = lossAt(step, lane) + 0.5;
    return {step, lane, loss, loss / std::log(2.0), 0.25};
}

inline ProbeEvent probeEvent(const Sizes& sizes, std::int64_t step) {
    ProbeEvent event{step, 1, 2.5, {}};
    for (const char* label : {"E", "F"}) {
        ProjectionProbe probe{label, sizes.slots, sizes.length, {}};
        for (std::int64_t slot = 0; slot < sizes.slots; ++slot) {
            probe.health.spectrum.push_back(static_cast<float>(sizes.slots - slot));
            probe.health.principalAngles.push_back(0.01F * static_cast<float>(slot));
        }
        probe.health.conditionNumber = static_cast<double>(sizes.slots);
        probe.health.cosine = 1.0 - 1e-3 * static_cast<double>(step);
        event.projections.push_back(std::move(probe));
    }
    return event;
}

inline SnapshotEvent snapshotEvent(const Sizes& sizes, std::int64_t step, int lane) {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->step = step;
    snapshot->lane = lane;
    snapshot->mechanism = lane == 0 ? "full" : "linformer";
    snapshot->samples = sizes.samples;
    snapshot->heads = sizes.heads;
    snapshot->length = sizes.length;
    snapshot->headWidth = sizes.headWidth;
    snapshot->tokens.assign(static_cast<std::size_t>(sizes.samples * sizes.length),
                            static_cast<std::int32_t>(step % 4));
    std::mt19937 generator(static_cast<unsigned>(step * 2 + lane));
    std::normal_distribution<float> normal;
    const auto values = [&] {
        std::vector<float> filled(
            static_cast<std::size_t>(sizes.samples * sizes.heads * sizes.length * sizes.headWidth));
        for (float& value : filled) value = normal(generator);
        return filled;
    };
    for (std::int64_t layer = 0; layer < sizes.layers; ++layer) {
        LayerSnapshot content;
        content.q = values();
        content.k = values();
        content.v = values();
        snapshot->layers.push_back(std::move(content));
    }
    if (lane == 1) {
        snapshot->projections = {projection(sizes, "E", static_cast<float>(step)),
                                 projection(sizes, "F", -static_cast<float>(step))};
        snapshot->parameters = parameters(static_cast<float>(step));
    }
    return {snapshot, true};
}

/// All events of one step: probes every 5, validation every 10, snapshots every 20.
inline void feed(EventSink& sink, const Sizes& sizes, std::int64_t step) {
    sink.onEvent(stepEvent(step));
    if (step % 5 == 0) sink.onEvent(probeEvent(sizes, step));
    if (step % 10 == 0)
        for (int lane = 0; lane < 2; ++lane) sink.onEvent(validationEvent(step, lane));
    if (step % 20 == 0)
        for (int lane = 0; lane < 2; ++lane) sink.onEvent(snapshotEvent(sizes, step, lane));
}

}  // namespace linscope::synthetic
