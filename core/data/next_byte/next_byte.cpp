#include "core/data/next_byte/next_byte.h"

#include <fmt/format.h>

#include <utility>

#include "core/base/error.h"

namespace linscope {
namespace {

constexpr std::string_view kWhere = "next_byte";

void requireByte(std::int32_t token) {
    require(token >= 0 && token < NextByte::kVocabulary, kWhere, "a token from 0 to {} was expected, but found {}",
            NextByte::kVocabulary - 1, token);
}

}  // namespace

void NextByteOptions::visit(OptionVisitor& visitor) {
    visitor.text({"corpus", "", "A named corpus, a text file or a folder of text files."}, corpus);
    visitor.integer({"length", "tokens", "T, bytes in a sequence."}, length, {2, 1 << 20});
    visitor.integer({"batch", "sequences", "B, sequences in a batch."}, batch, {1, 65536});
    visitor.real({"validation_fraction", "", "Share of the text, at its end, held out for validation."},
                 validationFraction, {0.0001, 0.5});
}

NextByte::NextByte(const NextByteOptions& options, std::uint64_t seed)
    : NextByte(options, seed, loadText(options.corpus)) {}

NextByte::NextByte(const NextByteOptions& options, std::uint64_t seed, TextSource source)
    : m_options(options),
      m_seed(seed),
      m_text(std::move(source), options.validationFraction, options.length, 1, kWhere),
      m_random(seed, "next_byte.training") {}

void NextByte::fill(std::string_view part, Random& random, Batch& out) const {
    const std::int64_t length = m_options.length, places = m_options.batch * length;
    out.batch = m_options.batch;
    out.length = length;
    out.tokens.clear();
    out.targets.clear();
    out.selected.resize(static_cast<std::size_t>(places));
    for (std::int64_t place = 0; place < places; ++place) out.selected[static_cast<std::size_t>(place)] = place;
    for (std::int64_t b = 0; b < out.batch; ++b) {
        const std::string_view window = m_text.draw(part, random);
        for (std::size_t t = 0; t + 1 < window.size(); ++t) {
            out.tokens.push_back(static_cast<unsigned char>(window[t]));
            out.targets.push_back(static_cast<unsigned char>(window[t + 1]));
        }
    }
}

void NextByte::nextBatch(Batch& out) {
    fill(m_text.training(), m_random, out);
}

void NextByte::validationBatch(std::int64_t index, Batch& out) const {
    require(index >= 0, kWhere, "the number of a validation batch must be 0 or more, but is {}", index);
    Random random(m_seed, fmt::format("next_byte.validation.{}", index));
    fill(m_text.heldOut(), random, out);
}

std::vector<TaskBaseline> NextByte::baselines() const {
    return {{"validation_bits_per_byte", "unigram: held-out bytes under the training part's frequencies",
             unigramBits(m_text.training(), m_text.heldOut())},
            {"validation_bits_per_byte", "bigram: the same, knowing the byte before",
             bigramBits(m_text.training(), m_text.heldOut())}};
}

std::string NextByte::tokenText(std::int32_t token) const {
    requireByte(token);
    return byteText(static_cast<unsigned char>(token));
}

std::optional<std::vector<std::int32_t>> NextByte::tokensOf(std::string_view text) const {
    return bytesAsTokens(text);
}

std::optional<std::string> NextByte::textOf(std::int32_t token) const {
    requireByte(token);
    return std::string(1, static_cast<char>(token));
}

TaskInfo nextByteTask() {
    return {
        .name = "next_byte",
        .title = "Next byte",
        .summary = "Predicts each byte of a text from the bytes before it; a trained decoder can write on.",
        .options = specsOf<NextByteOptions>(),
        .needsCausal = true,
        .predictsBytes = true,
        .create = [](const OptionValues& options, std::uint64_t seed) -> std::unique_ptr<Task> {
            return std::make_unique<NextByte>(optionsFrom<NextByteOptions>(options, kWhere), seed);
        },
    };
}

}  // namespace linscope
