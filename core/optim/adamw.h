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

}  // namespace linscope
