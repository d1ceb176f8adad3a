#pragma once

#include "core/attention/mechanism.h"
#include "core/attention/reformer/lsh.h"

namespace linscope {

struct ReformerOptions {
    std::int64_t rounds = 4;
    std::int64_t buckets = 16;
    std::int64_t chunk = 32;
    std::string duplicates = "count";
    void visit(OptionVisitor& visitor);
};

/// Attention to what hashes alike (Kitaev et al. 2020, arXiv:2001.04451, §2): queries and keys are one (k is ignored
/// and its gradient is 0), a key is q/‖q‖, and a token sees those that lie in its own or the previous chunk of the
/// tokens sorted by hash (LshChunks), in any of the rounds; itself only if it sees nothing else.
///
/// Causal, each bucket is cut into chunks on its own, from its first token on, while the paper cuts the whole sorted
/// sequence: there, later tokens push earlier ones into other chunks, so that o_i would depend on the future although
/// every later key is masked.
///
/// The random rotations are buffers "attention.layer<l>.rotations" [H,rounds,D,directions], drawn once.
class ReformerAttention : public Mechanism {
public:
    ReformerAttention(const ReformerOptions& options, const AttentionSizes& sizes, ParameterStore& parameters);

    /// In how many rounds each query of one head attends to each key, [T,T] from q [T,D] (turned, where position is
    /// rotary). A query that attends to nothing else attends to itself.
    std::vector<std::int32_t> attended(int layer, std::int64_t head, std::span<const float> q) const;

protected:
    Variable forwardImpl(const AttentionInput& input) const override;
    Variable naiveImpl(const AttentionInput& input) const override;

private:
    LshSizes lshSizes() const;
    LshChunks chunksOf(Arena& arena, int layer, const Tensor& q, std::span<const float> keep) const {
        return hashIntoChunks(arena, q, keep, *m_rotations[static_cast<std::size_t>(layer)], lshSizes());
    }

    ReformerOptions m_options;
    std::vector<double> m_slopes;               // [H] or empty
    std::vector<const Parameter*> m_rotations;  // [layers]
};

}  // namespace linscope
