#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "core/data/task.h"
#include "core/nn/device_parameters.h"
#include "core/nn/transformer.h"
#include "core/optim/adamw.h"

namespace linscope {

/// A batch as a model takes it, in the memory of the lane's device.
struct ModelInputs {
    Transformer::Input input;
    std::span<const std::int32_t> targets;  // [N]
};

/// The training step of one lane on a CUDA device.
///
/// The first step with batches of one form (B, T, N, padded or not) runs operation by operation, so that the arena
/// plans its memory; the second is captured as a graph: copy of the batch, forward, backward, clipping, AdamW, copy of
/// the result; from then on a step is one replay. What changes between steps is in fixed places: the batch, and
/// AdamW's numbers. Nothing waits between begin() and finish().
class DeviceStep {
public:
    /// All must outlive this object; `arena` and `parameters` are those of `context`.
    DeviceStep(DeviceContext& context, Arena& arena, const Transformer& model, ParameterStore& parameters,
               const OptimizerOptions& optimizer);
    ~DeviceStep();
    DeviceStep(const DeviceStep&) = delete;
    DeviceStep& operator=(const DeviceStep&) = delete;

    void begin(const Batch& batch, double rate, std::int64_t step);
    /// Waits for the step that has begun.
    StepResult finish();
    /// Of the last finished step, by the device's clock.
    double milliseconds() { return m_context.milliseconds(); }

    /// The batch on the device, for work that is not a step; valid until the next call of anything here. The caller
    /// waits for the device before that.
    ModelInputs stage(const Batch& batch);
    /// Loss and accuracy of crossEntropy() on the device.
    StepResult read(const Tensor& loss, const Tensor& accuracy);

    /// Captured steps do not hold any more: which parameters are trained has changed.
    void trainedChanged();

    DeviceParameters& parameters() { return m_parameters; }
    const DeviceContext& context() const { return m_context; }

private:
    using Form = std::array<std::int64_t, 4>;  // B, T, N, padded
    struct Captured {
        bool planned = false;
        std::unique_ptr<DeviceGraph> graph;
    };
    /// Where the parts of a batch of that form lie in the staging memory, and its size.
    struct Layout {
        std::size_t numbers, tokens, targets, selected, keep, bytes;
    };
    static Form formOf(const Batch& batch);
    static Layout layoutOf(const Form& form);
    void fillStaging(const Batch& batch, const Layout& layout);
    void releaseStaging();
    ModelInputs inputsOf(const Form& form, const Layout& layout) const;
    void run(const Form& form);

    DeviceContext& m_context;
    Arena& m_arena;
    const Transformer& m_model;
    DeviceParameters m_parameters;
    OptimizerOptions m_optimizer;
    std::byte *m_pinned = nullptr, *m_staging = nullptr;  // a batch, here and on the device
    std::size_t m_capacity = 0;
    StepResult *m_pinnedResult = nullptr, *m_result = nullptr;
    std::map<Form, Captured> m_captured;
    std::int64_t m_allocations = 0;  // of the arena when m_captured began
};

}  // namespace linscope
