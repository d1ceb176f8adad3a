#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/attention/attention_sizes.h"
#include "core/attention/decoding.h"
#include "core/attention/feature_map.h"
#include "core/autograd/variable.h"

namespace linscope {

/// What divides Σ_j φ(q_i)ᵀφ(k_j)·v_j. Either way a factor of a query's own cancels.
enum class Normaliser {
    Sum,  ///< Σ_j φ(q_i)ᵀφ(k_j): weights that sum to 1
    Rms,  ///< root of the mean square of the row: RMSNorm on the output (Qin et al. 2022, "The Devil in Linear
          ///< Transformer", §4.1), without a gain and without an ε
};

/// What is remembered of one head's past, in a run of numbers of its own.
template <typename T>
struct FeatureMemory {
    T* top = nullptr;    // [1] the greatest log weight, counted from the newest token; kNothing before the first
    T* state = nullptr;  // [M,D] S, its terms times e^(c_j − top)
    T* sum = nullptr;    // [M] z, in the same way

    static constexpr T kNothing = T(-1e30);  ///< finite, so that differences are
    static std::int64_t size(std::int64_t features, std::int64_t width) { return 1 + features * (width + 1); }
    static FeatureMemory at(T* numbers, std::int64_t features, std::int64_t width) {
        return {numbers, numbers + 1, numbers + 1 + features * width};
    }
};

struct FeatureAttentionOptions {
    std::span<const float> keep = {};  ///< [B,T] 0: φ(k) is 0, in the sum above and in the one below
    bool causal = false;
    std::span<const double> slopes = {};  ///< [H] weights times e^(−slope·(i − j)), causal only
    Normaliser normaliser = Normaliser::Sum;
    /// [H, FeatureMemory::size()] causal only: what the sequence goes on from, and then what it leaves
    /// (checkCarried()); empty: it begins with nothing.
    std::span<float> carried = {};
};

/// o_i = φ(q_i)ᵀS / φ(q_i)ᵀz with S = Σ_j φ(k_j)v_jᵀ [M,D] and z = Σ_j φ(k_j) [M] (Katharopoulos et al. 2020,
/// arXiv:2006.16236, §3.2); causal: sums over j ≤ i (§3.3 there). The cost is linear in T.
///
/// Causal by chunks of 64: within a chunk the masked product of φ(q) and φ(k), what came before through S. The
/// backward pass goes over the chunks once forwards, where S is summed again, and once backwards; its memory is two
/// states a head, and nothing is ever subtracted. Log weights of keys (FeatureMap) meet a running maximum of the
/// past, with which S and z are rescaled, so that nothing overflows, no ε is needed, and no bit depends on the future.
///
/// q, k and v [B,T,H,D] → [B,T,H,D]. A query without any key gives 0. Keys and values of padding must be finite
/// (withoutPadding()). The map and what the spans refer to must outlive the tape.
Variable featureAttention(const FeatureMap& map, const Variable& q, const Variable& k, const Variable& v,
                          const FeatureAttentionOptions& options);

namespace cuda {
/// The same by chunks of 64 tokens; featureAttention() comes here with tensors of a device, checked. The map must have
/// a recipe().
Variable featureAttention(const FeatureMap& map, const Variable& q, const Variable& k, const Variable& v,
                          const FeatureAttentionOptions& options);
}  // namespace cuda

/// The same in plain operations, the map stored whole, from plain weights a_ij ≥ 0 or signed.
/// weights [B,H,T,T], v [B,T,H,D] → [B,T,H,D]
Variable kernelAverage(const Variable& weights, const Variable& v, const FeatureAttentionOptions& options);

/// x·Wᵀ for every head in plain operations: x [B,H,T,D], one W [M,D] for each head → [B,H,T,M].
Variable projectHeads(const Variable& x, std::span<Parameter* const> projections);

/// Decoding with the state S, z and the maximum of log weights for each head, in single precision.
std::unique_ptr<DecodingState> startFeatureDecoding(const FeatureMap& map, const AttentionSizes& sizes,
                                                    std::span<const double> slopes, Normaliser normaliser);

}  // namespace linscope
