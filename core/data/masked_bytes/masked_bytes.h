#pragma once

#include <string_view>

#include "core/data/split_text.h"
#include "core/data/task.h"

namespace linscope {

struct MaskedBytesOptions {
    std::string corpus = "bible-kjv";
    std::int64_t length = 512;  // T
    std::int64_t batch = 8;     // B
    double maskFraction = 0.15;
    double validationFraction = 0.05;
    void visit(OptionVisitor& visitor);
};

/// Masked language modelling (Devlin et al. 2018, §3.1) over the bytes of a text.
///
/// A sequence is a window of T bytes at a uniformly drawn place. In every sequence exactly
/// max(1, round(maskFraction·T)) places are selected, so that N is the same for every batch; of the selected,
/// 80 % read [MASK], 10 % a uniformly drawn byte and 10 % what they are. Vocabulary: the 256 bytes and [MASK],
/// V = 257; windows are always full, so there is no padding token. The held-out part is the end of the text.
class MaskedBytes : public Task {
public:
    static constexpr std::int32_t kMaskToken = 256;
    static constexpr std::int64_t kVocabulary = 257;

    /// Reads the corpus. Throws Error where it cannot be read, or where one of its two parts is shorter than T.
    MaskedBytes(const MaskedBytesOptions& options, std::uint64_t seed);
    MaskedBytes(const MaskedBytesOptions& options, std::uint64_t seed, TextSource source);

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

    std::int64_t selectedPerSequence() const { return m_selected; }
    std::string_view trainingText() const { return m_text.training(); }
    std::string_view heldOutText() const { return m_text.heldOut(); }

private:
    void fill(std::string_view text, Random& random, Batch& out) const;

    MaskedBytesOptions m_options;
    std::uint64_t m_seed;
    SplitText m_text;
    std::int64_t m_selected = 0;
    Random m_random;
};

/// What a byte costs, in bits, to models that see no context; p is the training part's byte distribution
/// (one added to each count, so that no byte is impossible), q the held-out part's.
struct ByteEntropies {
    /// unigramBits()
    double unigram = 0;
    /// The best prediction from the one token at the selected place itself. It knows that a byte there is the
    /// right one half of the time, so it is below `unigram` although it attends to nothing:
    /// 0.8·unigram + 0.2·E[−log₂ p(b | x)], p(b | x) ∝ p(b)·(½[x = b] + ½·1/256).
    double ownToken = 0;
};
ByteEntropies byteEntropies(std::string_view training, std::string_view heldOut);

TaskInfo maskedBytesTask();

}  // namespace linscope
