#pragma once

#include <Eigen/Core>
#include <span>

#include "core/analysis/maps.h"
#include "core/attention/mechanism.h"

namespace linscope {

using RowMajorMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixMap = Eigen::Map<RowMajorMatrix>;
using ConstMatrixMap = Eigen::Map<const RowMajorMatrix>;

/// Rows [rowBegin, rowEnd) of softmax(Q·keysᵀ/√D), keys [count, D].
Matrix softmaxRows(const HeadView& head, std::span<const float> keys, std::int64_t count, std::int64_t rowBegin,
                   std::int64_t rowEnd);

}  // namespace linscope
