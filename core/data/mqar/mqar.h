#pragma once

#include "core/data/synthetic_task.h"

namespace linscope {

struct MqarOptions {
    std::int64_t length = 128;  // T
    std::int64_t batch = 32;    // B
    std::int64_t vocabulary = 8192;
    std::int64_t pairs = 8;  // N
    double power = 0.01;     // a
    bool randomNonQueries = true;
    void visit(OptionVisitor& visitor);
};

/// Multi-query associative recall (Arora et al. 2023, arXiv:2312.04927, §3 and App. A), by the algorithm of the
/// authors' code:
///
///     k₁ v₁ k₂ v₂ … k_N v_N | query area of T − 2N tokens
///
/// Keys come from [1, V/2), values from [V/2, V), both without replacement. The query area has (T − 2N)/2 slots, at its
/// even offsets; N of them are drawn without replacement with weights i^(a−1), i = 1, 2, …, the first for the first
/// pair, and so on. A slot shows its pair's key, and its target is the pair's value. All other tokens of the area are
/// 0, or drawn uniformly from [0, V) with `random_non_queries`.
///
/// A value never stands behind its query, so encoders can be asked as well.
class Mqar : public SyntheticTask {
public:
    /// Throws Error where 4N > T, T is odd, or V has too few keys.
    Mqar(const MqarOptions& options, std::uint64_t seed);

    std::int64_t vocabulary() const override { return m_options.vocabulary; }
    std::vector<TaskBaseline> baselines() const override;
    std::string tokenText(std::int32_t token) const override;
    std::string description() const override;

    std::int64_t slots() const { return (m_options.length - 2 * m_options.pairs) / 2; }
    /// The slot of each pair, [N]: N of slots() without replacement, with weights i^(a−1).
    void drawSlots(Random& random, std::vector<std::int64_t>& chosen) const;
    /// Share of queries that a model gets right which knows the sequence's values and the query's place, but not its
    /// key: it answers with the pair that is most often asked for there. By drawing, from a stream that is always the
    /// same.
    double placeOnlyAccuracy() const;

protected:
    void draw(Random& random, Sample& sample) const override;

private:
    MqarOptions m_options;
    std::vector<double> m_weights;  // [slots]
};

TaskInfo mqarTask();

}  // namespace linscope
