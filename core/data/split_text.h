#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/random.h"
#include "core/data/text_source.h"

namespace linscope {

/// A text whose end is held out for validation, and windows of its two parts.
class SplitText {
public:
    /// The last round(validationFraction·bytes) bytes are held out. `extra` more bytes than the `length` of a sequence
    /// belong to a window. Throws Error, as `where`, when one of the parts is shorter than a window.
    SplitText(TextSource source, double validationFraction, std::int64_t length, std::int64_t extra,
              std::string_view where);

    std::string_view training() const { return std::string_view(m_source.text).substr(0, m_trainingBytes); }
    std::string_view heldOut() const { return std::string_view(m_source.text).substr(m_trainingBytes); }
    /// A window of `part` that begins at a uniformly drawn byte and ends within the part.
    std::string_view draw(std::string_view part, Random& random) const;
    /// "bible-kjv: 4.4 MB, 31 102 lines, 5 % held out", and what was skipped.
    std::string description() const;
    /// Digest of the whole text.
    std::string digest() const;

private:
    TextSource m_source;
    double m_validationFraction;
    std::size_t m_window;
    std::size_t m_trainingBytes = 0;
};

/// A byte as a person reads it: "a", "␣", "⏎", "\\xe9".
std::string byteText(unsigned char byte);

/// A text as tokens of which each is a byte.
std::vector<std::int32_t> bytesAsTokens(std::string_view text);

/// Share of each byte in `text`, `added` to every count: with 1, no byte is impossible.
std::array<double, 256> byteShares(std::string_view text, double added);

/// −Σ_b q(b) log₂ p(b), the best constant prediction in bits per byte: p the training part's shares (one added to each
/// count), q the held-out part's.
double unigramBits(std::string_view training, std::string_view heldOut);

/// What a held-out byte costs in bits when the byte before it is known. p(b | a) = (n_ab + p(b)) / (n_a + 1): the
/// training part's pairs, and its unigram p as one more pair, so that no byte is impossible.
double bigramBits(std::string_view training, std::string_view heldOut);

}  // namespace linscope
