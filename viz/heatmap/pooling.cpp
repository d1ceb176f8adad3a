#include "viz/heatmap/pooling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "core/base/error.h"

namespace linscope::viz {
namespace {

int loudness(float value) {
    if (std::isnan(value)) return 3;
    if (std::isinf(value)) return value > 0 ? 2 : 1;
    return 0;
}

float louder(float a, float b) {
    return loudness(a) >= loudness(b) ? a : b;
}

bool isLoud(float value) {
    return !(std::abs(value) <= std::numeric_limits<float>::max());
}

// out[i] = pool of a[i·stride] and b[i·stride], of which there are weightA and weightB cells. The loop has no
// branches so that it vectorises; rows with something that is not finite are done again.
void poolPair(const float* a, const float* b, std::int64_t stride, std::int64_t count, float weightA, float weightB,
              Pooling pooling, float* out) {
    bool loud = false;
    const float shareA = weightA / (weightA + weightB), shareB = weightB / (weightA + weightB);
    for (std::int64_t i = 0; i < count; ++i) {
        const float x = a[i * stride], y = b[i * stride];
        loud |= isLoud(x) | isLoud(y);
        switch (pooling) {
            case Pooling::Max:
                out[i] = x > y ? x : y;
                break;
            case Pooling::Mean:
                out[i] = x * shareA + y * shareB;
                break;
            case Pooling::AbsMax:
                out[i] = std::abs(x) >= std::abs(y) ? x : y;
                break;
        }
    }
    if (!loud) return;
    for (std::int64_t i = 0; i < count; ++i)
        if (const float x = a[i * stride], y = b[i * stride]; isLoud(x) || isLoud(y)) out[i] = louder(x, y);
}

// Cells of the base in cell `index` of an axis at `level`.
float cellsIn(std::int64_t index, int level, std::int64_t baseCells) {
    const std::int64_t size = std::int64_t(1) << level;
    return float(std::min(size, baseCells - index * size));
}

Matrix halveRows(const Matrix& finer, int level, std::int64_t baseRows, Pooling pooling) {
    Matrix result{(finer.rows + 1) / 2, finer.cols, {}};
    result.values.resize(std::size_t(result.rows * result.cols));
    for (std::int64_t r = 0; r < result.rows; ++r) {
        const float* upper = &finer.values[std::size_t(2 * r * finer.cols)];
        float* out = &result.values[std::size_t(r * result.cols)];
        if (2 * r + 1 == finer.rows)
            std::copy(upper, upper + finer.cols, out);
        else
            poolPair(upper, upper + finer.cols, 1, finer.cols, cellsIn(2 * r, level, baseRows),
                     cellsIn(2 * r + 1, level, baseRows), pooling, out);
    }
    return result;
}

Matrix halveCols(const Matrix& finer, int level, std::int64_t baseCols, Pooling pooling) {
    Matrix result{finer.rows, (finer.cols + 1) / 2, {}};
    result.values.resize(std::size_t(result.rows * result.cols));
    const std::int64_t pairs = finer.cols / 2;
    const float whole = float(std::int64_t(1) << level);
    for (std::int64_t r = 0; r < result.rows; ++r) {
        const float* in = &finer.values[std::size_t(r * finer.cols)];
        float* out = &result.values[std::size_t(r * result.cols)];
        poolPair(in, in + 1, 2, pairs, whole, whole, pooling, out);
        if (pairs > 0)
            poolPair(in + 2 * pairs - 2, in + 2 * pairs - 1, 2, 1, whole, cellsIn(2 * pairs - 1, level, baseCols),
                     pooling, out + pairs - 1);
        if (finer.cols % 2) out[pairs] = in[finer.cols - 1];
    }
    return result;
}

}  // namespace

std::string_view poolingName(Pooling pooling) {
    constexpr std::array<std::string_view, 3> names{"max", "mean", "abs-max"};
    return names[std::size_t(pooling)];
}

PooledValue poolRange(const Matrix& matrix, const CellRange& range, Pooling pooling) {
    require(range.rowBegin >= 0 && range.colBegin >= 0 && range.rowEnd <= matrix.rows && range.colEnd <= matrix.cols &&
                range.rowBegin < range.rowEnd && range.colBegin < range.colEnd,
            "pooling", "a range inside {} × {} cells is required, but rows {}–{}, columns {}–{} were given",
            matrix.rows, matrix.cols, range.rowBegin, range.rowEnd, range.colBegin, range.colEnd);
    PooledValue best{matrix.at(range.rowBegin, range.colBegin), {range.rowBegin, range.colBegin}, range.count()};
    double sum = 0;
    const auto beats = [&](float value, float champion) {
        if (isLoud(value) || isLoud(champion)) return loudness(value) > loudness(champion);
        return pooling == Pooling::Max ? value > champion : std::abs(value) > std::abs(champion);
    };
    for (std::int64_t r = range.rowBegin; r < range.rowEnd; ++r)
        for (std::int64_t c = range.colBegin; c < range.colEnd; ++c) {
            const float value = matrix.at(r, c);
            sum += value;
            if (beats(value, best.value)) {
                best.value = value;
                best.source = {r, c};
            }
        }
    if (pooling == Pooling::Mean && !isLoud(best.value)) best.value = float(sum / double(best.count));
    return best;
}

PoolPyramid::PoolPyramid(std::shared_ptr<const Matrix> matrix, Pooling pooling)
    : m_base(std::move(matrix)), m_pooling(pooling) {}

const Matrix& PoolPyramid::level(int rowLevel, int colLevel) {
    if (rowLevel == 0 && colLevel == 0) return *m_base;
    if (const auto found = m_levels.find({rowLevel, colLevel}); found != m_levels.end()) return found->second;
    // Halving the coarser axis last keeps the matrices on the way few and small.
    Matrix made = rowLevel >= colLevel
                      ? halveRows(level(rowLevel - 1, colLevel), rowLevel - 1, m_base->rows, m_pooling)
                      : halveCols(level(rowLevel, colLevel - 1), colLevel - 1, m_base->cols, m_pooling);
    return m_levels.emplace(std::pair{rowLevel, colLevel}, std::move(made)).first->second;
}

}  // namespace linscope::viz
