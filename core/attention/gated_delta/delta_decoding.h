#pragma once

#include <memory>

#include "core/attention/gated_delta/gated_delta.h"

namespace linscope {

/// Decoding with the state S [H,D,D] in single precision. The gates are read where they lie, at every step.
std::unique_ptr<DecodingState> startDeltaDecoding(const DeltaGates& gates, const GatedDeltaOptions& options,
                                                  const AttentionSizes& sizes);

}  // namespace linscope
