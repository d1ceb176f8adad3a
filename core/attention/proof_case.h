#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/attention/mechanism.h"
#include "core/base/precision.h"

namespace linscope::proofs {

/// One mechanism at one size with one choice of options.
struct Case {
    const MechanismInfo* info = nullptr;
    AttentionSizes sizes;
    std::int64_t batch = 1;
    OptionValues options;
    DeviceContext* device = nullptr;          ///< where the fused form in single precision runs; nullptr: the processor
    Precision precision = Precision::Single;  ///< of the same form's products, on the processor
    std::string text() const;
};

using Numbers = std::vector<double>;

/// Q, K, V and the upstream gradient, [B,T,H,D] each, and the padding mask.
struct Inputs {
    std::int64_t length = 0;
    Numbers q, k, v, upstream;
    std::vector<float> keep;  // [B,T] or empty
};

/// Standard normal, so signed; the same for the same case.
Inputs randomInputs(const Case& c);

struct Outcome {
    Numbers o, dq, dk, dv;
    std::vector<Numbers> dParameters;  ///< empty for a buffer
};

enum class Form { Naive, Fused };

/// Runs forward and backward in `type` on memory filled with NaN, on the case's device if it is the fused form in
/// single precision. `change` may alter the parameters first.
Outcome run(const Case& c, const Inputs& inputs, Form form, DType type,
            const std::function<void(ParameterStore&)>& change = {});

/// o of a causal case decoded token by token, or read by blocks of so many tokens in turn, one being a step; half-way
/// the state is saved and loaded into a fresh one.
Numbers decode(const Case& c, const Inputs& inputs, std::span<const std::int64_t> blocks = {});

/// RMS(a − b)/RMS(b). The denominator is at least 0.1: inputs are of size 1, and so is what is rounded on the
/// way, also where a gradient is exactly 0 (one token: the softmax has nothing to choose). NaN stays NaN.
double relativeError(const Numbers& a, const Numbers& b);

/// relativeError() of the outputs of `c` against those of another mechanism on the same numbers, fused, in double.
double difference(const Case& c, const Case& reference, const Inputs& inputs,
                  const std::function<void(ParameterStore&)>& change = {});

}  // namespace linscope::proofs
