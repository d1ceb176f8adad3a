#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/random.h"
#include "core/options/options.h"

namespace linscope {

/// One batch: B sequences of T tokens, and the places whose token is to be predicted.
struct Batch {
    std::int64_t batch = 0;              // B
    std::int64_t length = 0;             // T
    std::vector<std::int32_t> tokens;    // [B,T] what the model reads
    std::vector<std::int64_t> selected;  // [N] flat places b·T+t to predict, ascending
    std::vector<std::int32_t> targets;   // [N] the token, or class, expected at each
    std::vector<float> keep;             // [B,T] 1 for a token, 0 for padding; empty: all are tokens
};

/// What the trained model is compared with on a plot: a line with a name.
struct TaskBaseline {
    std::string metric;  ///< "validation_bits_per_byte"
    std::string name;    ///< "unigram entropy of the corpus"
    double value = 0;
};

/// A source of batches. It owns the cursor: the same state gives the same batches for ever.
class Task {
public:
    virtual ~Task() = default;
    virtual std::int64_t vocabulary() const = 0;  // V
    /// Logits of a prediction: the vocabulary, or the classes.
    virtual std::int64_t outputs() const { return vocabulary(); }
    /// The names of the classes, by their number; none where a prediction is a token.
    virtual std::vector<std::string> classes() const { return {}; }
    virtual std::int64_t length() const = 0;  // T
    virtual std::int64_t batch() const = 0;   // B
    /// Fills `out` with the next training batch and advances the cursor. Reuses out's memory.
    virtual void nextBatch(Batch& out) = 0;
    /// The validation batch `index` ≥ 0: held-out text, the same for every call and every run of one seed.
    virtual void validationBatch(std::int64_t index, Batch& out) const = 0;
    virtual std::vector<TaskBaseline> baselines() const = 0;
    /// The token as a person reads it: "a", "␣", "⏎", "[MASK]", "\\xe9".
    virtual std::string tokenText(std::int32_t token) const = 0;
    /// One sentence on what was read: "bible-kjv: 4.4 MB, 31 102 lines, 5 % held out".
    virtual std::string description() const = 0;
    /// Of all that was read, so that a run that goes on later finds out whether it is the same; empty where nothing is
    /// read, and batches follow from seed and options alone.
    virtual std::string dataDigest() const { return {}; }
    /// Of a task that predicts the next token of a text: the text as tokens, and a token as the bytes it stands for, so
    /// that a trained decoder can write on. Nothing of the others.
    virtual std::optional<std::vector<std::int32_t>> tokensOf(std::string_view) const { return std::nullopt; }
    virtual std::optional<std::string> textOf(std::int32_t) const { return std::nullopt; }
    virtual Random::State cursor() const = 0;
    virtual void setCursor(const Random::State& cursor) = 0;
};

struct TaskInfo {
    std::string_view name;
    std::string_view title;
    std::string_view summary;
    std::vector<OptionSpec> options;
    bool needsCausal = false;    ///< the tokens hold the answers further on: for decoders alone
    bool predictsBytes = false;  ///< an answer is a byte, so that the loss in bits is that of a byte
    bool pooled = false;         ///< one class for each sequence; `selected` are the first tokens' places, [B]
    std::unique_ptr<Task> (*create)(const OptionValues& options, std::uint64_t seed) = nullptr;
};

/// All registered tasks, in the order of their CMake lines (`linscope_add_task(NAME)`).
const std::vector<TaskInfo>& tasks();
/// Throws Error with the list of names when there is none of that name.
const TaskInfo& findTask(std::string_view name);

}  // namespace linscope
