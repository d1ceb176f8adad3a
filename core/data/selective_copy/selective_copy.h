#pragma once

#include "core/data/synthetic_task.h"

namespace linscope {

struct SelectiveCopyOptions {
    std::int64_t length = 256;  // T
    std::int64_t batch = 32;    // B
    std::int64_t vocabulary = 16;
    std::int64_t data = 16;  // M
    void visit(OptionVisitor& visitor);
};

/// Selective copying (Gu & Dao 2023, arXiv:2312.00752, §3.1 and App. E.1): M data tokens stand in order at random
/// places of T − M places of noise; the last M places show a marker each and ask for the data tokens in their order.
///
///     · · b · · · a · d · … | ? ? ?   →   b a d
///
/// Token 0 is noise, V − 1 the marker, the V − 2 between are data, drawn uniformly with replacement; any set of places
/// is equally likely. The i-th answer is the i-th data token wherever it stands, so the place alone does not say what
/// to copy.
class SelectiveCopy : public SyntheticTask {
public:
    static constexpr std::int32_t kNoise = 0;
    /// Throws Error where 2M > T.
    SelectiveCopy(const SelectiveCopyOptions& options, std::uint64_t seed);

    std::int64_t vocabulary() const override { return m_options.vocabulary; }
    std::vector<TaskBaseline> baselines() const override;
    std::string tokenText(std::int32_t token) const override;
    std::string description() const override;

protected:
    void draw(Random& random, Sample& sample) const override;

private:
    std::int32_t marker() const { return static_cast<std::int32_t>(m_options.vocabulary - 1); }
    SelectiveCopyOptions m_options;
};

TaskInfo selectiveCopyTask();

}  // namespace linscope
