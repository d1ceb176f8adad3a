#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/attention/mechanism.h"
#include "core/data/task.h"
#include "core/experiment/experiment.h"
#include "core/nn/parameters.h"
#include "core/nn/token_decoder.h"
#include "core/nn/transformer.h"
#include "core/train/device_step.h"
#include "core/train/event.h"

namespace linscope {

/// One model with one choice of mechanism, its optimizer and its memory, on one device.
class Lane {
public:
    /// On Device::Cuda throws Error where this machine or build has none, or the mechanism no form for it.
    Lane(const Experiment& experiment, std::size_t index, const Task& task, Device device = Device::Cpu);
    ~Lane();

    /// Forward, backward, clip, AdamW at the rate of `step` (1 is the first). A loss or gradient that is
    /// not finite changes no parameter: the lane diverges, and message() names the first such tensor.
    LaneStep step(const Batch& batch, std::int64_t step) {
        begin(batch, step);
        return finish(batch);
    }
    /// The same in two parts, between which other lanes begin theirs: on a device begin() only asks for the work, on
    /// the processor it does it. The batch stays as it is in between.
    void begin(const Batch& batch, std::int64_t step);
    LaneStep finish(const Batch& batch);
    /// Loss, accuracy and gradient without a step; for a lane on the processor.
    LaneStep gradients(const Batch& batch);
    /// Loss and accuracy without a gradient.
    LaneStep evaluate(const Batch& batch);
    /// Q, K, V of every layer for the first `samples` sequences of the batch, and all that the mechanism computes with.
    std::shared_ptr<Snapshot> snapshot(const Batch& batch, std::int64_t samples, std::int64_t step);

    /// For going on with a text token by token; the lane must outlive it and not be trained meanwhile. Throws Error
    /// unless the model is a decoder.
    TokenDecoder startDecoding() const;
    /// The tokens that its parameters are for, as learned positions and the projections of a Linformer are; empty where
    /// they are for any length.
    std::optional<std::int64_t> builtFor() const;

    /// Mechanism::beforeStep().
    std::string beforeStep(std::int64_t step);
    std::vector<Projection> projections() const;
    /// Mechanism::parameterValues(), as they are after the last step.
    std::vector<ParameterValues> attentionParameters() const { return m_mechanism->parameterValues(parameters()); }
    /// The processor's copies, as they are after the last step. What is written to them counts from the next step on;
    /// after a step ask again.
    ParameterStore& parameters();
    const ParameterStore& parameters() const;
    Device device() const { return m_arena.device(); }
    const LaneConfig& config() const { return m_config; }
    int index() const { return m_index; }

    LaneState state() const { return m_state; }
    const std::string& message() const { return m_message; }
    void setState(LaneState state, std::string message);
    /// The lane cannot go on: memory is short, a kernel failed, its device is gone. It lets go of the device; its
    /// parameters are those after the last step or, where they cannot be read any more, as they were last read.
    void fail(std::string message);

    double peakLearningRate() const { return m_peakLearningRate; }
    void setPeakLearningRate(double rate) { m_peakLearningRate = rate; }
    /// Whether there are any that learn, frozen now or not.
    bool projectionsTrainable() const;
    void setProjectionsFrozen(bool frozen);
    bool projectionsFrozen() const;

    /// Heap allocations of the step arena so far: constant after the first step.
    std::int64_t heapAllocations() const { return m_arena.heapAllocations(); }

private:
    /// The batch where the lane computes.
    ModelInputs inputsOf(const Batch& batch);
    void stepHere(const Batch& batch, std::int64_t step);
    void forwardAndBackwardHere(const Batch& batch);
    void countTokens(const Batch& batch, double seconds);
    std::string firstNotFinite(const Batch& batch);

    LaneConfig m_config;
    int m_index;
    OptimizerOptions m_optimizer;
    std::int64_t m_totalSteps;
    Position m_position;
    Precision m_precision;
    ParameterStore m_parameters;
    std::unique_ptr<Mechanism> m_mechanism;
    std::unique_ptr<Transformer> m_model;
    std::unique_ptr<DeviceContext> m_context;  ///< on a device alone
    Arena m_arena;
    std::unique_ptr<DeviceStep> m_device;  ///< on a device alone
    LaneStep m_result;                     ///< of the step that has begun
    double m_peakLearningRate;
    LaneState m_state = LaneState::Running;
    std::string m_message;
};

}  // namespace linscope
