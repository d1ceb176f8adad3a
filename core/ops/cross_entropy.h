#pragma once

#include <cstdint>
#include <span>

#include "core/autograd/variable.h"

namespace linscope {

struct CrossEntropy {
    Variable loss;              ///< [1] mean of −log softmax(logits)[target], nats
    double accuracy = 0;        ///< share of rows whose greatest logit is the target's
    Tensor accuracyOnDevice{};  ///< [1] the same where logits are on a device, which nobody has waited for
};

/// logits [N,V], targets [N]. Throws Error on N = 0, or a target outside [0,V). With logits on a device, targets are
/// there too, and whoever copied them has checked them.
CrossEntropy crossEntropy(const Variable& logits, std::span<const std::int32_t> targets);

// The same on a CUDA device; the functions above come here with tensors of one, checked.
namespace cuda {
CrossEntropy crossEntropy(const Variable& logits, std::span<const std::int32_t> targets);
}  // namespace cuda

}  // namespace linscope
