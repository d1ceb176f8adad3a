#pragma once

#include <cstdint>
#include <span>

#include "core/autograd/variable.h"

namespace linscope {

/// What a short convolution sees of a sequence.
struct ConvolutionReach {
    bool centred = false;              ///< as many tokens ahead as behind, for encoders; else itself and those behind
    std::span<const float> keep = {};  // [B,T] 0 for padding; empty: all are tokens
};

/// A depthwise convolution along the tokens, added to what it reads:
/// y_t = x_t + Σ_j w_j ∘ x_{t+s−j}, j = 0 … K−1, s = 0, or (K−1)/2 where centred.
/// Before attention it lets a key know the tokens beside it, so that one layer can look up "what stood behind this"
/// (the shift of H3: Fu et al. 2022, arXiv:2212.14052, §3; before attention: Arora et al. 2024, Based,
/// arXiv:2402.18668; added to the residual stream of an encoder: Chu et al. 2021, arXiv:2102.10882).
/// What lies outside the sequence, and padding, whatever it holds, counts as 0; at padding y is 0, and no gradient
/// goes there. x [B,T,…] with C numbers a token, weight [K,C] → the same as x. Throws Error on other shapes, on a K of
/// 0 and on a centred K that is even.
Variable shortConvolution(const Variable& x, const Variable& weight, const ConvolutionReach& reach = {});

/// The same for the next token of one sequence, in place, not centred: x [C], weight [K,C]; `recent` [K−1,C] are the
/// tokens before it as they came, the newest first, zeros at the start; x goes in and the oldest out.
void convolveToken(std::span<float> x, std::span<const float> weight, std::span<float> recent);

// The same on a CUDA device; shortConvolution() comes here with tensors of one, checked.
namespace cuda {
Variable shortConvolution(const Variable& x, const Variable& weight, const ConvolutionReach& reach);
}  // namespace cuda

}  // namespace linscope
