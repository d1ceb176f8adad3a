#pragma once

#include <vector>

#include "core/attention/proofs.h"

namespace linscope {

/// What has to hold of a whole model with a short convolution in front of the mechanism, every variant of it:
/// padding has no influence in any form that it has; in the causal form the future changes nothing, and decoding by
/// tokens, through a saved state half-way, and by blocks gives the logits of the whole sequence.
std::vector<ProofResult> runModelProofs(const MechanismInfo& info);

}  // namespace linscope
