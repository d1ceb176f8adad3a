#include "core/data/split_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/base/digest.h"
#include "core/base/error.h"

namespace linscope {

SplitText::SplitText(TextSource source, double validationFraction, std::int64_t length, std::int64_t extra,
                     std::string_view where)
    : m_source(std::move(source)),
      m_validationFraction(validationFraction),
      m_window(static_cast<std::size_t>(length + extra)) {
    const std::size_t all = m_source.text.size();
    const auto held = static_cast<std::size_t>(std::llround(static_cast<double>(all) * validationFraction));
    m_trainingBytes = all - std::min(held, all);
    const std::string wanted =
        fmt::format("task.length = {}{}", length, extra > 0 ? fmt::format(" and {} more", extra) : "");
    require(training().size() >= m_window, where,
            "{} must fit into the training part of \"{}\", but that has {} bytes; give a smaller length or more text",
            wanted, m_source.name, training().size());
    require(heldOut().size() >= m_window, where,
            "{} must fit into the held-out part of \"{}\", but that has {} bytes ({:.4g} % of {}); give a smaller "
            "length, a larger task.validation_fraction or more text",
            wanted, m_source.name, heldOut().size(), 100 * validationFraction, all);
}

std::string_view SplitText::draw(std::string_view part, Random& random) const {
    const auto starts = static_cast<std::int64_t>(part.size() - m_window + 1);
    return part.substr(static_cast<std::size_t>(random.below(starts)), m_window);
}

std::string SplitText::description() const {
    const std::string skipped = m_source.skippedNote();
    return fmt::format("{}, {:.4g} % held out{}{}", m_source.summary(), 100 * m_validationFraction,
                       skipped.empty() ? "" : "; ", skipped);
}

std::string SplitText::digest() const {
    Digest digest;
    digest.add(m_source.text);
    return digest.text();
}

std::string byteText(unsigned char byte) {
    if (byte == ' ') return "␣";
    if (byte == '\n') return "⏎";
    if (byte > ' ' && byte < 0x7F) return std::string(1, static_cast<char>(byte));
    return fmt::format("\\x{:02x}", byte);
}

std::vector<std::int32_t> bytesAsTokens(std::string_view text) {
    std::vector<std::int32_t> tokens;
    tokens.reserve(text.size());
    for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
    return tokens;
}

std::array<double, 256> byteShares(std::string_view text, double added) {
    std::array<double, 256> shares{};
    shares.fill(added);
    for (const char c : text) ++shares[static_cast<unsigned char>(c)];
    for (double& share : shares) share /= static_cast<double>(text.size()) + 256 * added;
    return shares;
}

double unigramBits(std::string_view training, std::string_view heldOut) {
    const auto p = byteShares(training, 1), q = byteShares(heldOut, 0);
    double bits = 0;
    for (std::size_t b = 0; b < 256; ++b) bits -= q[b] * std::log2(p[b]);
    return bits;
}

double bigramBits(std::string_view training, std::string_view heldOut) {
    const auto p = byteShares(training, 1);
    std::vector<double> pairs(256 * 256), firsts(256);
    const auto at = [](std::string_view text, std::size_t i) { return static_cast<unsigned char>(text[i]); };
    for (std::size_t i = 1; i < training.size(); ++i) {
        ++pairs[256u * at(training, i - 1) + at(training, i)];
        ++firsts[at(training, i - 1)];
    }
    double bits = 0;
    for (std::size_t i = 1; i < heldOut.size(); ++i) {
        const std::size_t a = at(heldOut, i - 1), b = at(heldOut, i);
        bits -= std::log2((pairs[256 * a + b] + p[b]) / (firsts[a] + 1));
    }
    return bits / static_cast<double>(heldOut.size() - 1);
}

}  // namespace linscope
