#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "core/analysis/maps.h"
#include "viz/heatmap/camera.h"

namespace linscope::viz {

/// What a pixel shows when several cells fall on it. A cell that is not finite always wins
/// (NaN before +∞ before −∞), so that it is seen at every magnification.
enum class Pooling {
    Max,     ///< nothing large may vanish
    Mean,    ///< the mean; times the number of cells it is a mass
    AbsMax,  ///< the value of largest magnitude, with its sign
};
std::string_view poolingName(Pooling pooling);  ///< "max", "mean", "abs-max"

/// A rectangle of cells, ends excluded.
struct CellRange {
    std::int64_t rowBegin = 0, rowEnd = 0, colBegin = 0, colEnd = 0;
    std::int64_t count() const { return (rowEnd - rowBegin) * (colEnd - colBegin); }
    bool operator==(const CellRange&) const = default;
};

/// The pooled value of a rectangle of cells and the cell it comes from: with Mean the cell of largest magnitude.
struct PooledValue {
    float value = 0;
    Cell source;
    std::int64_t count = 0;  ///< cells pooled
};
/// Throws Error when the range is empty or not inside the matrix.
PooledValue poolRange(const Matrix& matrix, const CellRange& range, Pooling pooling);

/// A matrix with coarser versions of itself, made when first asked for and kept. Level (a, b) has cells of
/// 2^a × 2^b cells of the matrix, fewer at the last row and column.
class PoolPyramid {
public:
    PoolPyramid(std::shared_ptr<const Matrix> matrix, Pooling pooling);
    const Matrix& base() const { return *m_base; }
    Pooling pooling() const { return m_pooling; }
    const Matrix& level(int rowLevel, int colLevel);

private:
    std::shared_ptr<const Matrix> m_base;
    Pooling m_pooling;
    std::map<std::pair<int, int>, Matrix> m_levels;
};

}  // namespace linscope::viz
