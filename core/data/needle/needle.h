#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/data/split_text.h"
#include "core/data/task.h"

namespace linscope {

struct NeedleOptions {
    std::string haystack = "random";  ///< "random" or "text"
    std::string corpus = "bible-kjv";
    std::int64_t length = 256;  // T
    std::int64_t batch = 8;     // B
    std::int64_t keyBytes = 4;
    std::int64_t valueBytes = 4;
    std::int64_t needles = 1;
    double depth = -1;
    double validationFraction = 0.05;
    void visit(OptionVisitor& visitor);
};

/// Finding one fact in a long sequence (needle in a haystack; RULER, Hsieh et al. 2024, arXiv:2404.06654, §3), in
/// bytes:
///
///     haystack ⏎key=value⏎ haystack ⏎?key=value
///
/// Keys are letters and values are digits, all drawn anew for each sequence. The model reads all but the value's last
/// byte, and is asked for the value's bytes, each at the place before it: N = B·valueBytes. More than one needle: the
/// others have keys and values of their own, so that finding a value is not enough.
///
/// `depth` is the share of the haystack that lies before the needle asked for; −1: drawn uniformly in training, and the
/// eleven depths 0, 0.1, …, 1 in turn in validation, so that every validation has the same ones.
class Needle : public Task {
public:
    static constexpr std::int64_t kVocabulary = 256;
    static constexpr std::int64_t kDepths = 11;

    /// Throws Error where needles and query do not fit into T, where there are not enough keys, or where the corpus
    /// cannot be read.
    Needle(const NeedleOptions& options, std::uint64_t seed);

    std::int64_t vocabulary() const override { return kVocabulary; }
    std::int64_t length() const override { return m_options.length; }
    std::int64_t batch() const override { return m_options.batch; }
    void nextBatch(Batch& out) override;
    void validationBatch(std::int64_t index, Batch& out) const override;
    std::vector<TaskBaseline> baselines() const override;
    std::string tokenText(std::int32_t token) const override;
    std::string description() const override;
    std::string dataDigest() const override { return m_text ? m_text->digest() : std::string(); }
    Random::State cursor() const override { return m_random.state(); }
    void setCursor(const Random::State& cursor) override { m_random = Random(cursor); }
    std::optional<std::vector<std::int32_t>> tokensOf(std::string_view text) const override;
    std::optional<std::string> textOf(std::int32_t token) const override;

private:
    void begin(Batch& out) const;
    void append(double depth, std::string_view part, Random& random, Batch& out) const;
    std::string haystack(std::string_view part, Random& random) const;

    NeedleOptions m_options;
    std::uint64_t m_seed;
    std::optional<SplitText> m_text;
    std::int64_t m_hay = 0;  ///< bytes of haystack in a sequence
    Random m_random;
};

TaskInfo needleTask();

}  // namespace linscope
