#include "core/data/needle/needle.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/base/error.h"

namespace linscope {
namespace {

constexpr std::string_view kWhere = "needle";
constexpr std::int64_t kLetters = 26, kDigits = 10;

std::string draw(std::int64_t bytes, char first, std::int64_t kinds, Random& random) {
    std::string text;
    for (std::int64_t i = 0; i < bytes; ++i) text += static_cast<char>(first + random.below(kinds));
    return text;
}

}  // namespace

void NeedleOptions::visit(OptionVisitor& visitor) {
    visitor.choice({"haystack", "", "Random letters and spaces, or windows of a text."}, haystack, {"random", "text"});
    visitor.text({"corpus", "", "Of a text haystack: a named corpus, a text file or a folder of text files."}, corpus);
    visitor.integer({"length", "tokens", "T, bytes in a sequence."}, length, {16, 1 << 20});
    visitor.integer({"batch", "sequences", "B, sequences in a batch."}, batch, {1, 65536});
    visitor.integer({"key_bytes", "bytes", "Letters of a key."}, keyBytes, {1, 32});
    visitor.integer({"value_bytes", "bytes", "Digits of a value, all of them predicted."}, valueBytes, {1, 32});
    visitor.integer({"needles", "", "Pairs of key and value in a sequence; one of them is asked for."}, needles,
                    {1, 1024});
    visitor.real({"depth", "", "Share of the haystack before the needle, 0 to 1; -1: drawn uniformly."}, depth,
                 {-1, 1});
    visitor.real({"validation_fraction", "", "Of a text haystack: share of the text, at its end, held out."},
                 validationFraction, {0.0001, 0.5});
}

Needle::Needle(const NeedleOptions& options, std::uint64_t seed)
    : m_options(options), m_seed(seed), m_random(seed, "needle.training") {
    require(options.depth == -1 || options.depth >= 0, kWhere,
            "task.depth must be a share from 0 to 1, or -1 for a uniformly drawn one, but is {}", options.depth);
    // ⏎key=value⏎ for each needle; ⏎?key= and the value without its last byte at the end.
    const std::int64_t needle = options.keyBytes + options.valueBytes + 3;
    const std::int64_t query = options.keyBytes + options.valueBytes + 2;
    m_hay = options.length - options.needles * needle - query;
    require(m_hay >= 0, kWhere,
            "task.length = {} must hold {} needles of {} bytes and a query of {}, but that is {} bytes; give a greater "
            "length, fewer needles, or shorter keys and values",
            options.length, options.needles, needle, query, options.needles * needle + query);
    require(std::pow(kLetters, options.keyBytes) >= 2.0 * static_cast<double>(options.needles), kWhere,
            "task.key_bytes must give at least twice as many keys as there are needles, but {} letters give {:.0f} for "
            "{}",
            options.keyBytes, std::pow(kLetters, options.keyBytes), options.needles);
    if (options.haystack == "text")
        m_text.emplace(loadText(options.corpus), options.validationFraction, options.length, 0, kWhere);
}

std::string Needle::haystack(std::string_view part, Random& random) const {
    if (m_text) return std::string(m_text->draw(part, random).substr(0, static_cast<std::size_t>(m_hay)));
    std::string hay;
    for (std::int64_t i = 0; i < m_hay; ++i) {
        const std::int64_t letter = random.below(kLetters + 1);
        hay += letter == kLetters ? ' ' : static_cast<char>('a' + letter);
    }
    return hay;
}

void Needle::begin(Batch& out) const {
    out.batch = m_options.batch;
    out.length = m_options.length;
    out.tokens.clear();
    out.selected.clear();
    out.targets.clear();
}

void Needle::append(double depth, std::string_view part, Random& random, Batch& out) const {
    const std::string hay = haystack(part, random);
    struct Pair {
        std::string key, value;
        std::int64_t at = 0;  ///< bytes of haystack before it
    };
    std::vector<Pair> pairs;
    while (static_cast<std::int64_t>(pairs.size()) < m_options.needles) {
        Pair pair{draw(m_options.keyBytes, 'a', kLetters, random), draw(m_options.valueBytes, '0', kDigits, random)};
        const bool taken = std::ranges::any_of(pairs, [&](const Pair& other) { return other.key == pair.key; });
        if (taken) continue;
        pair.at = random.below(m_hay + 1);
        pairs.push_back(std::move(pair));
    }
    const Pair asked = pairs.front();
    pairs.front().at = static_cast<std::int64_t>(std::llround(depth * static_cast<double>(m_hay)));
    std::ranges::stable_sort(pairs, {}, &Pair::at);

    std::string text;
    std::int64_t taken = 0;
    for (const Pair& pair : pairs) {
        text.append(hay, static_cast<std::size_t>(taken), static_cast<std::size_t>(pair.at - taken));
        text += fmt::format("\n{}={}\n", pair.key, pair.value);
        taken = pair.at;
    }
    text.append(hay, static_cast<std::size_t>(taken), std::string::npos);
    text += fmt::format("\n?{}={}", asked.key, asked.value);

    text.pop_back();  // the last byte is asked for alone
    for (const char c : text) out.tokens.push_back(static_cast<unsigned char>(c));
    const auto end = static_cast<std::int64_t>(out.tokens.size());
    for (std::int64_t i = 0; i < m_options.valueBytes; ++i) {
        out.selected.push_back(end - m_options.valueBytes + i);
        out.targets.push_back(asked.value[static_cast<std::size_t>(i)]);
    }
}

void Needle::nextBatch(Batch& out) {
    begin(out);
    for (std::int64_t b = 0; b < m_options.batch; ++b) {
        const double depth = m_options.depth < 0 ? m_random.uniform() : m_options.depth;
        append(depth, m_text ? m_text->training() : std::string_view{}, m_random, out);
    }
}

void Needle::validationBatch(std::int64_t index, Batch& out) const {
    require(index >= 0, kWhere, "the number of a validation batch must be 0 or more, but is {}", index);
    Random random(m_seed, fmt::format("needle.validation.{}", index));
    begin(out);
    for (std::int64_t b = 0; b < m_options.batch; ++b) {
        const auto turn = static_cast<double>((index * m_options.batch + b) % kDepths);
        const double depth = m_options.depth < 0 ? turn / static_cast<double>(kDepths - 1) : m_options.depth;
        append(depth, m_text ? m_text->heldOut() : std::string_view{}, random, out);
    }
}

std::vector<TaskBaseline> Needle::baselines() const {
    std::vector<TaskBaseline> lines{{"validation_accuracy", "a digit drawn at random", 1.0 / kDigits},
                                    {"validation_bits_per_byte", "all digits alike", std::log2(double{kDigits})}};
    if (m_options.needles > 1) {
        const double right = 1.0 / static_cast<double>(m_options.needles);
        lines.push_back(
            {"validation_accuracy", "the value of a needle drawn at random", right + (1 - right) / kDigits});
    }
    return lines;
}

std::string Needle::tokenText(std::int32_t token) const {
    require(token >= 0 && token < kVocabulary, kWhere, "a token from 0 to {} was expected, but found {}",
            kVocabulary - 1, token);
    return byteText(static_cast<unsigned char>(token));
}

std::string Needle::description() const {
    std::string out =
        fmt::format("{} needle{} in {} bytes of {}, {}", m_options.needles, m_options.needles == 1 ? "" : "s", m_hay,
                    m_text ? "text" : "random letters",
                    m_options.depth < 0 ? std::string("at any depth") : fmt::format("at depth {:g}", m_options.depth));
    if (m_text) out += "; " + m_text->description();
    return out;
}

std::optional<std::vector<std::int32_t>> Needle::tokensOf(std::string_view text) const {
    return bytesAsTokens(text);
}

std::optional<std::string> Needle::textOf(std::int32_t token) const {
    require(token >= 0 && token < kVocabulary, kWhere, "a token from 0 to {} was expected, but found {}",
            kVocabulary - 1, token);
    return std::string(1, static_cast<char>(token));
}

TaskInfo needleTask() {
    return {
        .name = "needle",
        .title = "Needle in a haystack",
        .summary = "Tells the value of a key that stood somewhere in a long sequence of other bytes.",
        .options = specsOf<NeedleOptions>(),
        .needsCausal = true,
        .predictsBytes = true,
        .create = [](const OptionValues& options, std::uint64_t seed) -> std::unique_ptr<Task> {
            return std::make_unique<Needle>(optionsFrom<NeedleOptions>(options, kWhere), seed);
        },
    };
}

}  // namespace linscope
