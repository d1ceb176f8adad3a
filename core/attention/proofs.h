#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/attention/mechanism.h"

namespace linscope {

/// One thing shown of one mechanism: the worst error over all cases against its bound.
struct ProofResult {
    std::string mechanism;
    Device device = Device::Cpu;  ///< where the fused form ran
    std::string proof;            ///< "naive = fused, forward", …
    double worst = 0;             ///< NaN when something that is to be a number was none
    double bound = 0;
    bool passed = false;
    int cases = 0;
    std::string worstCase;  ///< sizes and options of the worst case
};

/// The proofs that every registered mechanism has to pass, by registration alone:
/// fused against naive (forward and every gradient, random upstream gradients, signed inputs, in single
/// against double precision, with products in bfloat16 against double, and double against double; lengths 1, 63, 500,
/// 1000; widths 32, 60, 64), finite differences in double, padding invariance, batch independence, shorter sequences,
/// options → TOML → options; for causal forms, that the future changes nothing and that decoding token by token or by
/// blocks gives what the whole sequence gives; and what theory says of it in particular (MechanismInfo::theory). Fresh
/// memory is filled with NaN throughout. On a device the fused form in single precision runs there, and is compared
/// with the same definition on the processor by the same bounds; options without a CUDA form are left out. Throws Error
/// where the mechanism has none. `progress` is called before each proof with its name.
std::vector<ProofResult> runProofs(const MechanismInfo& info,
                                   const std::function<void(const std::string&)>& progress = {},
                                   DeviceContext* device = nullptr);

}  // namespace linscope
