#pragma once

#include <string_view>

#include "core/data/split_text.h"
#include "core/data/task.h"

namespace linscope {

struct NextByteOptions {
    std::string corpus = "bible-kjv";
    std::int64_t length = 512;  // T
    std::int64_t batch = 8;     // B
    double validationFraction = 0.05;
    void visit(OptionVisitor& visitor);
};

/// Language modelling over the bytes of a text: at each of the T places of a window, which byte comes next?
///
/// A window is T + 1 bytes at a uniformly drawn place; the model reads the first T, and place t is asked for byte
/// t + 1. Every place is selected, N = B·T. Vocabulary: the 256 bytes. The held-out part is the end of the text.
class NextByte : public Task {
public:
    static constexpr std::int64_t kVocabulary = 256;

    /// Reads the corpus. Throws Error where it cannot be read, or where one of its two parts is shorter than T + 1.
    NextByte(const NextByteOptions& options, std::uint64_t seed);
    NextByte(const NextByteOptions& options, std::uint64_t seed, TextSource source);

    std::int64_t vocabulary() const override { return kVocabulary; }
    std::int64_t length() const override { return m_options.length; }
    std::int64_t batch() const override { return m_options.batch; }
    void nextBatch(Batch& out) override;
    void validationBatch(std::int64_t index, Batch& out) const override;
    std::vector<TaskBaseline> baselines() const override;
    std::string tokenText(std::int32_t token) const override;
    std::string description() const override { return m_text.description(); }
    std::string dataDigest() const override { return m_text.digest(); }
    Random::State cursor() const override { return m_random.state(); }
    void setCursor(const Random::State& cursor) override { m_random = Random(cursor); }
    std::optional<std::vector<std::int32_t>> tokensOf(std::string_view text) const override;
    std::optional<std::string> textOf(std::int32_t token) const override;

    const SplitText& text() const { return m_text; }

private:
    void fill(std::string_view part, Random& random, Batch& out) const;

    NextByteOptions m_options;
    std::uint64_t m_seed;
    SplitText m_text;
    Random m_random;
};

TaskInfo nextByteTask();

}  // namespace linscope
