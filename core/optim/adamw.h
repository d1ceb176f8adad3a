#pragma once

#include <cstdint>

#include "core/experiment/experiment.h"
#include "core/nn/parameters.h"

namespace linscope {

/// The learning rate of step `step` (1 is the first) of `totalSteps`: linear warm-up to `peak`, then
/// cosine to `finalFraction`·peak (Loshchilov & Hutter 2017, eq. 5, one period) or constant.
double scheduledRate(const OptimizerOptions& options, double peak, std::int64_t step, std::int64_t totalSteps);

/// ‖g‖₂ over all parameters that are not frozen. The order of summation is fixed.
double gradientNorm(const ParameterStore& parameters);

/// One AdamW step (Loshchilov & Hutter 2019, Algorithm 2) with the gradients times `gradientScale`;
/// `step` ≥ 1 corrects the moments' bias. Frozen parameters and their moments stay as they are.
void adamwStep(ParameterStore& parameters, const OptimizerOptions& options, double rate, std::int64_t step,
               double gradientScale);

/// The numbers of AdamW that change from step to step, as the device's kernel reads them.
struct AdamwNumbers {
    float stepSize = 0;  ///< rate over the first moment's bias correction
    float root = 0;      ///< 1 over the root of the second moment's
    float keep = 1;      ///< 1 − rate·weight_decay
};
AdamwNumbers adamwNumbers(const OptimizerOptions& options, double rate, std::int64_t step);

class DeviceParameters;
/// What a step tells, in the device's memory until somebody asks for it.
struct StepResult {
    float loss = 0, accuracy = 0, gradientNorm = 0;
};

namespace cuda {
/// gradientNorm(), clipping and adamwStep() of all parameters at once, nothing of which waits. A loss or norm that is
/// not finite changes no parameter. `numbers`, `loss` and `accuracy` [1], and `result` are on the device; scratch is
/// taken from `arena`.
void adamwStep(Arena& arena, const DeviceParameters& parameters, const OptimizerOptions& options,
               const AdamwNumbers* numbers, const Tensor& loss, const Tensor& accuracy, StepResult* result);
}  // namespace cuda

}  // namespace linscope
