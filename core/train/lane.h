#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/attention/mechanism.h"
#include "core/data/task.h"
#include "core/experiment/experiment.h"
#include "core/nn/parameters.h"
#include "core/nn/token_decoder.h"
#include "core/nn/transformer.h"
#include "core/train/event.h"

namespace linscope {

/// One model with one choice of mechanism, its optimizer and its memory.
class Lane {
public:
    Lane(const Experiment& experiment, std::size_t index, const Task& task);

    /// Forward, backward, clip, AdamW at the rate of `step` (1 is the first). A loss or gradient that is
    /// not finite changes no parameter: the lane diverges, and message() names the first such tensor.
    LaneStep step(const Batch& batch, std::int64_t step);
    /// Loss and accuracy without a gradient.
    LaneStep evaluate(const Batch& batch);
    /// Q, K, V of every layer for the first `samples` sequences of the batch, and the projections.
    std::shared_ptr<Snapshot> snapshot(const Batch& batch, std::int64_t samples, std::int64_t step);

    /// For going on with a text token by token; the lane must outlive it and not be trained meanwhile. Throws Error
    /// unless the model is a decoder.
    TokenDecoder startDecoding() const;

    /// Mechanism::beforeStep().
    std::string beforeStep(std::int64_t step) { return m_mechanism->beforeStep(step); }
    std::vector<Projection> projections() const { return m_mechanism->projections(); }
    ParameterStore& parameters() { return m_parameters; }
    const ParameterStore& parameters() const { return m_parameters; }
    const LaneConfig& config() const { return m_config; }
    int index() const { return m_index; }

    LaneState state() const { return m_state; }
    const std::string& message() const { return m_message; }
    void setState(LaneState state, std::string message);

    double peakLearningRate() const { return m_peakLearningRate; }
    void setPeakLearningRate(double rate) { m_peakLearningRate = rate; }
    void setProjectionsFrozen(bool frozen);
    bool projectionsFrozen() const;

    /// Heap allocations of the step arena so far: constant after the first step.
    std::int64_t heapAllocations() const { return m_arena.heapAllocations(); }

private:
    Variable logitsOf(Tape& tape, const Batch& batch, TensorObserver* observer = nullptr) const;
    std::string firstNotFinite(const Batch& batch);

    LaneConfig m_config;
    int m_index;
    OptimizerOptions m_optimizer;
    std::int64_t m_totalSteps;
    Position m_position;
    ParameterStore m_parameters;
    std::unique_ptr<Mechanism> m_mechanism;
    std::unique_ptr<Transformer> m_model;
    Arena m_arena;
    double m_peakLearningRate;
    LaneState m_state = LaneState::Running;
    std::string m_message;
};

}  // namespace linscope
