#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace linscope {

/// How a token's place reaches the model. The first three are added to the embedding, or not at all, and suit
/// every mechanism; the others act inside attention and suit some.
enum class Position {
    None,
    Learned,       ///< a trained vector for each place
    Sinusoidal,    ///< Vaswani et al. 2017, §3.5
    Rotary,        ///< q and k turned by angles that grow with the place (Su et al. 2021, §3.2)
    Alibi,         ///< −slope·|i−j| added to the scores (Press et al. 2021)
    RelativeBias,  ///< a trained number for each head and bucket of distances (Raffel et al. 2019, §2.1)
};
inline constexpr std::array<const char*, 6> kPositionNames{"none",   "learned", "sinusoidal",
                                                           "rotary", "alibi",   "relative_bias"};
constexpr const char* nameOf(Position position) {
    return kPositionNames.at(static_cast<std::size_t>(position));
}
/// Throws Error with the list of names.
Position positionOf(std::string_view name);

/// What a mechanism makes of a position scheme.
enum class Fit { Exact, Approximate, Refused };
struct PositionFit {
    Fit fit = Fit::Exact;
    std::string_view reason = {};  ///< one sentence, unless exact
};

/// Slopes of ALiBi for H heads: 2^(−8(h+1)/H) (Press et al. 2021, §3).
std::vector<double> alibiSlopes(std::int64_t heads);

/// Buckets of distances (Raffel et al. 2019: half of them exact, the others logarithmic up to 128).
inline constexpr std::int64_t kRelativeBuckets = 32;
/// The bucket of key j for query i, distance = j − i. Causal: keys of the past alone share the buckets.
std::int64_t relativeBucket(std::int64_t distance, bool causal);

}  // namespace linscope
