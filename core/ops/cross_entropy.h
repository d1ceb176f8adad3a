#pragma once

#include <cstdint>
#include <span>

#include "core/autograd/variable.h"

namespace linscope {

struct CrossEntropy {
    Variable loss;        ///< [1] mean of −log softmax(logits)[target], nats
    double accuracy = 0;  ///< share of rows whose greatest logit is the target's
};

/// logits [N,V], targets [N]. Throws Error on N = 0, or a target outside [0,V).
CrossEntropy crossEntropy(const Variable& logits, std::span<const std::int32_t> targets);

}  // namespace linscope
