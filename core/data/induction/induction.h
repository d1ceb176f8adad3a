#pragma once

#include "core/data/synthetic_task.h"

namespace linscope {

struct InductionOptions {
    std::int64_t length = 256;  // T
    std::int64_t batch = 32;    // B
    std::int64_t vocabulary = 16;
    void visit(OptionVisitor& visitor);
};

/// Induction heads (Fu et al. 2022, arXiv:2212.14052, §3.1; lengths and vocabulary after Gu & Dao 2023, App. E.1): a
/// trigger token stands once among random tokens, and again at the end; what came behind it the first time is to be
/// told.
///
///     c a ⊢ f b d a … c ⊢   →   f
///
/// The trigger is token V − 1; all others are uniform in [0, V − 1), and the trigger's place is uniform in [0, T − 2).
class Induction : public SyntheticTask {
public:
    Induction(const InductionOptions& options, std::uint64_t seed);

    std::int64_t vocabulary() const override { return m_options.vocabulary; }
    std::vector<TaskBaseline> baselines() const override;
    std::string tokenText(std::int32_t token) const override;
    std::string description() const override;
    std::int32_t trigger() const { return static_cast<std::int32_t>(m_options.vocabulary - 1); }

protected:
    void draw(Random& random, Sample& sample) const override;

private:
    InductionOptions m_options;
};

TaskInfo inductionTask();

}  // namespace linscope
