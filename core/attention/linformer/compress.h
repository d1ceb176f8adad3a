#pragma once

#include <span>

#include "core/autograd/variable.h"
#include "core/nn/parameters.h"

namespace linscope {

/// y_bsh = Σ_t E_h[s,t]·x_bth: keys or values compressed along the sequence (Wang et al. 2020, eq. 7).
/// x [B,T,H,D]; one projection [K,≥T] for all heads, or one for each → [B,K,H,D]. Positions whose `keep`
/// [B,T] is 0 count as zero, whatever they hold. A projection that is not trained gets no gradient.
Variable compress(std::span<Parameter* const> projections, const Variable& x, std::span<const float> keep = {});
/// The same in plain operations, for naive definitions.
Variable plainCompress(std::span<Parameter* const> projections, const Variable& x, std::span<const float> keep = {});

namespace cuda {
/// The same with padding zeroed already; compress() comes here with tensors of a device, checked.
Variable compress(std::span<Parameter* const> projections, const Variable& x);
}  // namespace cuda

}  // namespace linscope
