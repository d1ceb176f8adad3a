#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/analysis/maps.h"
#include "viz/heatmap/value_scale.h"

namespace linscope::viz {

/// The distribution of a matrix's values; every value is counted, none is sampled.
struct Histogram {
    std::vector<std::int64_t> counts;  ///< finite values in equal bins of [min, max]
    std::int64_t finite = 0, nan = 0, plusInf = 0, minusInf = 0;
    float min = 0, max = 0;      ///< of the finite values; 0 when there are none
    float smallestPositive = 0;  ///< 0 when there is none
    float percentile1 = 0, percentile99 = 0;
    float absPercentile995 = 0;  ///< 99.5 % of the magnitudes are at most this
    float rowMaximum90 = 0;      ///< nine of ten rows have no greater value

    /// True when something is not finite: worth an alarm.
    bool hasLoudCells() const { return nan + plusInf + minusInf > 0; }
};
/// Throws Error when bins < 1.
Histogram histogramOf(const Matrix& matrix, int bins);

/// The q-quantiles (nearest rank, exact) of the finite values, for each q ∈ [0,1]; zeros when there are none.
std::vector<float> quantiles(std::span<const float> values, std::span<const double> q);

/// The range that shows a matrix well: Linear and Arcsinh from 0 (the least value when some are negative) to the
/// largest, or to what nine of ten rows stay below when that is less than a third of it (the first tokens of a causal
/// map have few keys to share their weight among, and would leave the others dark); Log [max(1st percentile, smallest
/// positive value, max/10⁶), max], Diverging ± the 99.5th percentile of the magnitudes.
ValueScale autoRange(const Histogram& histogram, ScaleKind kind);
/// One range for several matrices, so that their colours can be compared.
ValueScale autoRange(std::span<const Histogram> histograms, ScaleKind kind);
/// The range of a matrix that is compared with nothing: autoRange(), but Linear and Arcsinh begin at the least value,
/// so that the colours of a flat map tell its values apart.
ValueScale ownRange(const Histogram& histogram, ScaleKind kind);

}  // namespace linscope::viz
