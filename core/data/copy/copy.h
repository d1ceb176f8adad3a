#pragma once

#include "core/data/synthetic_task.h"

namespace linscope {

struct CopyOptions {
    std::int64_t length = 128;  // T
    std::int64_t batch = 32;    // B
    std::int64_t vocabulary = 32;
    bool reverse = false;
    std::int64_t offset = 0;
    void visit(OptionVisitor& visitor);
};

/// Copying over a distance: w₁ … w_n │ · · … ·, T = 2n.
///
/// The second half is the separator and n − 1 blanks; the i-th of these n places asks for one symbol of w:
/// w_(i+offset), or with `reverse` w_(n−1−i+offset), indices from 0 and modulo n. Symbols are uniform. In the usual
/// w·sep·w the second half would show the answers shifted by one; blanks let encoders be asked as well, and make the
/// place, not the preceding symbol, what has to be looked up.
class Copy : public SyntheticTask {
public:
    static constexpr std::int32_t kBlank = 0;
    /// Throws Error where T is odd or the offset is not less than T/2.
    Copy(const CopyOptions& options, std::uint64_t seed);

    std::int64_t vocabulary() const override { return m_options.vocabulary; }
    std::vector<TaskBaseline> baselines() const override;
    std::string tokenText(std::int32_t token) const override;
    std::string description() const override;
    /// The place in w that the i-th answer is read from.
    std::int64_t source(std::int64_t i) const;

protected:
    void draw(Random& random, Sample& sample) const override;

private:
    std::int64_t word() const { return m_options.length / 2; }
    std::int32_t separator() const { return static_cast<std::int32_t>(m_options.vocabulary - 1); }
    CopyOptions m_options;
};

TaskInfo copyTask();

}  // namespace linscope
