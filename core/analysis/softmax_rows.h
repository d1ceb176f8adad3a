#pragma once

#include <Eigen/Core>
#include <span>
#include <vector>

#include "core/analysis/maps.h"
#include "core/attention/mechanism.h"

namespace linscope {

using RowMajorMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixMap = Eigen::Map<RowMajorMatrix>;
using ConstMatrixMap = Eigen::Map<const RowMajorMatrix>;

/// One head of a snapshot. Throws Error when an index is out of range or values are missing.
HeadView headView(const Snapshot& snapshot, int layer, int head, int sample);

/// What distance and direction do to the scores of one head (core/attention/attend.h).
struct ScoreTerms {
    bool causal = false;
    bool others = false;               ///< a token sees itself only where it sees no other
    float slope = 0;                   ///< of ALiBi
    std::span<const float> bias = {};  ///< [kRelativeBuckets] or empty
    bool any() const { return slope != 0 || !bias.empty(); }
    /// What slope and bias add to the score of key j for query i, distance = j − i.
    float ofDistance(std::int64_t distance) const;
};

/// All that the exact map of one head is made of.
struct ExactScores {
    HeadView head;
    ScoreTerms terms = {};
    std::vector<float> sharedKeys = {};  ///< [T,D] queries at unit length, where the keys are those; else empty
    std::span<const float> keys() const { return sharedKeys.empty() ? head.k : std::span<const float>(sharedKeys); }
};
/// Throws Error as headView() does, or where a table of biases is too short. The snapshot must outlive the answer.
ExactScores exactScores(const Snapshot& snapshot, int layer, int head, int sample);

/// Rows [rowBegin, rowEnd) of softmax(Q·keysᵀ/√D + what the terms add), keys [count, D].
Matrix softmaxRows(const HeadView& head, std::span<const float> keys, std::int64_t count, std::int64_t rowBegin,
                   std::int64_t rowEnd, const ScoreTerms& terms = {});

}  // namespace linscope
