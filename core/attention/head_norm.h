#pragma once

#include <cstdint>

#include "core/autograd/variable.h"

namespace linscope {

/// y = factor·x/√(Σx² + ε) over the last axis; a row of zeros gives zeros, and finite gradients.
struct RowNorm {
    double factor = 1, epsilon = 1e-6;
};

/// Rows of length 1: ε = 1e-6, as keys of the delta rule have.
constexpr RowNorm unitNorm() {
    return {1.0, 1e-6};
}
/// x/√(mean(x²) + ε): root mean square 1 (Zhang & Sennrich 2019, arXiv:1910.07467, §4), without a gain, for the
/// outputs of heads of `width` channels that no denominator bounds. Rounding of x is amplified by up to 1/√ε.
RowNorm rmsNorm(std::int64_t width, double epsilon);

/// Why a mechanism whose outputs have this norm has no token map (MechanismInfo::noTokenMap).
inline constexpr const char* kNormIsNotLinear =
    "normalise divides each output by its own size, and so the weights depend on the values";

/// The norm of every row, shared out to threads by rows. x [..., D] → [..., D]
Variable normaliseRows(const Variable& x, RowNorm norm);
/// The same in plain operations.
Variable plainNormaliseRows(const Variable& x, RowNorm norm);
/// The same for one row of decoding, in place.
void normaliseRow(float* row, std::int64_t width, RowNorm norm);

namespace cuda {
/// normaliseRows() comes here with tensors of a device.
Variable normaliseRows(const Variable& x, RowNorm norm);
}  // namespace cuda

}  // namespace linscope
