#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/task.h"

namespace linscope {

/// One sequence that a generator made.
struct Sample {
    std::vector<std::int32_t> tokens;    // [≤ T]; what is missing at the end is padding, token 0
    std::vector<std::int64_t> places;    // [n] in the sequence, ascending
    std::vector<std::int32_t> targets;   // [n]
    std::vector<std::int32_t> identity;  ///< what decides whether the sequence is training or held-out data
    void clear();
};

/// True for one sequence in eight, by a hash of its identity alone: no seed and no order of drawing can bring a
/// sequence of the training stream into the validation data, in this run or in another.
bool isHeldOut(std::span<const std::int32_t> identity);

/// A task whose sequences are drawn when they are wanted, without end. Training and validation have streams of their
/// own and drop each other's sequences, so that nothing is made in advance and the two still never meet. The stream's
/// state is the cursor: it alone decides all later batches.
class SyntheticTask : public Task {
public:
    std::int64_t length() const override { return m_shape.length; }
    std::int64_t batch() const override { return m_shape.batch; }
    void nextBatch(Batch& out) override;
    void validationBatch(std::int64_t index, Batch& out) const override;
    Random::State cursor() const override { return m_random.state(); }
    void setCursor(const Random::State& cursor) override { m_random = Random(cursor); }

    /// The next sequence of `random` that is held out, or that is not.
    void drawFor(bool heldOut, Random& random, Sample& sample) const;

protected:
    struct SyntheticShape {
        std::string_view name;  ///< of the task: of its streams and its messages
        std::int64_t length = 0, batch = 0;
        bool padded = false;  ///< sequences may be shorter than T; batches then say so in `keep`
    };
    SyntheticTask(const SyntheticShape& shape, std::uint64_t seed);
    /// Draws one sequence into the cleared `sample`.
    virtual void draw(Random& random, Sample& sample) const = 0;
    /// Throws unless `token` is one of the vocabulary.
    void checkToken(std::int32_t token) const;

private:
    void fill(bool heldOut, Random& random, Batch& out) const;

    SyntheticShape m_shape;
    std::uint64_t m_seed;
    Random m_random;
};

/// Symbol 0, 1, 2, …: "a" … "z", "A" … "Z", then "s52" and so on.
std::string symbolText(std::int64_t symbol);

/// Enough different sequences for both parts: throws `[task] what … must give …` for fewer than 1024.
void requireVariety(double sequences, std::string_view task, std::string_view what);

}  // namespace linscope
