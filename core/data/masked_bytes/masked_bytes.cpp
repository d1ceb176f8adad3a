#include "core/data/masked_bytes/masked_bytes.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace linscope {
namespace {

constexpr std::string_view kWhere = "masked_bytes";

// Shares of the selected places (Devlin et al. 2018, §3.1); the rest keeps its byte.
constexpr double kMasked = 0.8;
constexpr double kReplaced = 0.1;

}  // namespace

void MaskedBytesOptions::visit(OptionVisitor& visitor) {
    visitor.text({"corpus", "", "A named corpus, a text file or a folder of text files."}, corpus);
    visitor.integer({"length", "tokens", "T, bytes in a sequence."}, length, {2, 1 << 20});
    visitor.integer({"batch", "sequences", "B, sequences in a batch."}, batch, {1, 65536});
    visitor.real({"mask_fraction", "", "Share of a sequence's places to predict."}, maskFraction, {0.001, 0.9});
    visitor.real({"validation_fraction", "", "Share of the text, at its end, held out for validation."},
                 validationFraction, {0.0001, 0.5});
}

MaskedBytes::MaskedBytes(const MaskedBytesOptions& options, std::uint64_t seed)
    : MaskedBytes(options, seed, loadText(options.corpus)) {}

MaskedBytes::MaskedBytes(const MaskedBytesOptions& options, std::uint64_t seed, TextSource source)
    : m_options(options),
      m_seed(seed),
      m_text(std::move(source), options.validationFraction, options.length, 0, kWhere),
      m_random(seed, "masked_bytes.training") {
    m_selected = std::max<std::int64_t>(1, std::llround(options.maskFraction * static_cast<double>(options.length)));
}

void MaskedBytes::fill(std::string_view text, Random& random, Batch& out) const {
    const std::int64_t length = m_options.length;
    out.batch = m_options.batch;
    out.length = length;
    out.tokens.resize(static_cast<std::size_t>(out.batch * length));
    out.selected.clear();
    out.targets.clear();
    out.selected.reserve(static_cast<std::size_t>(out.batch * m_selected));
    out.targets.reserve(static_cast<std::size_t>(out.batch * m_selected));
    for (std::int64_t b = 0; b < out.batch; ++b) {
        const std::string_view window = m_text.draw(text, random);
        std::int32_t* tokens = out.tokens.data() + b * length;
        // Selection sampling (Knuth, TAOCP 2, §3.4.2, algorithm S): exactly as many places as wanted, each set of
        // them equally likely, in ascending order.
        std::int64_t wanted = m_selected;
        for (std::int64_t t = 0; t < length; ++t) {
            const std::int32_t byte = static_cast<unsigned char>(window[static_cast<std::size_t>(t)]);
            tokens[t] = byte;
            if (random.below(length - t) >= wanted) continue;
            --wanted;
            out.selected.push_back(b * length + t);
            out.targets.push_back(byte);
            const double fate = random.uniform();
            if (fate < kMasked)
                tokens[t] = kMaskToken;
            else if (fate < kMasked + kReplaced)
                tokens[t] = static_cast<std::int32_t>(random.below(256));
        }
    }
}

void MaskedBytes::nextBatch(Batch& out) {
    fill(trainingText(), m_random, out);
}

void MaskedBytes::validationBatch(std::int64_t index, Batch& out) const {
    require(index >= 0, kWhere, "the number of a validation batch must be 0 or more, but is {}", index);
    Random random(m_seed, fmt::format("masked_bytes.validation.{}", index));
    fill(heldOutText(), random, out);
}

std::vector<TaskBaseline> MaskedBytes::baselines() const {
    const ByteEntropies entropies = byteEntropies(trainingText(), heldOutText());
    return {{"validation_bits_per_byte", "unigram: held-out bytes under the training part's frequencies",
             entropies.unigram},
            {"validation_bits_per_byte", "no context: the same, knowing the token at the place itself",
             entropies.ownToken}};
}

std::string MaskedBytes::tokenText(std::int32_t token) const {
    require(token >= 0 && token < kVocabulary, kWhere, "a token from 0 to {} was expected, but found {}",
            kVocabulary - 1, token);
    if (token == kMaskToken) return "[MASK]";
    return byteText(static_cast<unsigned char>(token));
}

ByteEntropies byteEntropies(std::string_view training, std::string_view heldOut) {
    const auto p = byteShares(training, 1), q = byteShares(heldOut, 0);
    // Given that a place shows the byte x: kept (x is right) or replaced, each half of the time.
    const double kept = 0.5, drawn = 0.5 / 256;
    ByteEntropies entropies{.unigram = unigramBits(training, heldOut)};
    double shown = 0;
    for (std::size_t b = 0; b < 256; ++b) {
        for (std::size_t x = 0; x < 256; ++x) {
            const double posterior = p[b] * ((x == b ? kept : 0) + drawn) / (p[x] * kept + drawn);
            shown -= q[b] * ((x == b ? kept : 0) + drawn) * std::log2(posterior);
        }
    }
    entropies.ownToken = kMasked * entropies.unigram + (1 - kMasked) * shown;
    return entropies;
}

TaskInfo maskedBytesTask() {
    return {
        .name = "masked_bytes",
        .title = "Masked bytes",
        .summary = "Predicts hidden bytes of a text from the bytes around them (BERT's 80/10/10 rule).",
        .options = specsOf<MaskedBytesOptions>(),
        .predictsBytes = true,
        .create = [](const OptionValues& options, std::uint64_t seed) -> std::unique_ptr<Task> {
            return std::make_unique<MaskedBytes>(optionsFrom<MaskedBytesOptions>(options, kWhere), seed);
        },
    };
}

}  // namespace linscope
