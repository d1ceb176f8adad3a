#pragma once

#include <cstdint>

#include "core/attention/mechanism.h"
#include "core/cuda/context.h"

namespace linscope::app {

/// Median ms of forward and backward of one attention layer over `batch` sequences of sizes.length tokens: of at least
/// fifteen rounds and a second, but of no more rounds than `mostSeconds` have room for, and of one in any case. On the
/// processor by the wall clock; on `device` by its own, replayed as a graph, with numbers in its precision.
double layerMilliseconds(const MechanismInfo& info, const OptionValues& options, const AttentionSizes& sizes,
                         std::int64_t batch, double mostSeconds, DeviceContext* device);

}  // namespace linscope::app
