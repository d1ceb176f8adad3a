#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/attention/attend.h"
#include "core/attention/mechanism.h"

namespace linscope {

/// What ALiBi or the relative bias adds to softmax scores. The relative bias is a parameter
/// "attention.relative_bias" [H, kRelativeBuckets] that all layers share, at first 0.
class SoftmaxPosition {
public:
    SoftmaxPosition(const AttentionSizes& sizes, ParameterStore& parameters);
    /// Completes the options of attend().
    AttendOptions options(Tape& tape, AttendOptions options) const;
    /// The table of the relative bias, or nullptr.
    Parameter* relative() const { return m_relative; }
    /// Whether past() is ever anything but 0.
    bool hasTerms() const { return !m_slopes.empty() || m_relative != nullptr; }
    /// What is added to the score of a key `distance` ≥ 0 places back, in decoding.
    float past(std::int64_t head, std::int64_t distance) const;

private:
    std::vector<double> m_slopes;  // [H] or empty
    Parameter* m_relative = nullptr;
};

/// attend() in plain operations, the map stored whole: what naive definitions are made of.
/// q [B,T,H,D], k and v [B,S,H,D] → [B,T,H,D]
Variable softmaxAttention(const Variable& q, const Variable& k, const Variable& v, const AttendOptions& options = {});

/// x [B,T,H,D] with the positions whose keep [B,T] is 0 set to zero; x itself when keep is empty.
Variable withoutPadding(const Variable& x, std::span<const float> keep);

/// Decoding of softmax attention with a cache of keys and values: of all tokens, or of the last `window` ones.
std::unique_ptr<DecodingState> startCachedDecoding(const AttentionSizes& sizes, const SoftmaxPosition& position,
                                                   std::int64_t window = 0);

}  // namespace linscope
