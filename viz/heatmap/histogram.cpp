#include "viz/heatmap/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "core/base/error.h"

namespace linscope::viz {
namespace {

// The bits of a float as an integer that is ordered as the floats are.
std::uint32_t orderedBits(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

float fromOrderedBits(std::uint32_t bits) {
    return std::bit_cast<float>(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}

// The index of the bin in which the running count passes `rank`; `rank` becomes the rank inside it.
std::uint32_t binOfRank(const std::vector<std::int64_t>& counts, std::int64_t& rank) {
    std::uint32_t bin = 0;
    while (bin + 1 < counts.size() && rank >= counts[bin]) rank -= counts[bin++];
    return bin;
}

// Exact order statistics in two counting passes: first by the upper, then by the lower 16 bits.
template <typename Transform>
std::vector<float> exactQuantiles(std::span<const float> values, std::span<const double> q, Transform transform) {
    std::vector<std::int64_t> upper(1 << 16);
    std::int64_t finite = 0;
    for (const float value : values)
        if (std::isfinite(value)) {
            ++upper[orderedBits(transform(value)) >> 16];
            ++finite;
        }
    std::vector<float> result(q.size(), 0.0f);
    if (finite == 0) return result;

    std::vector<std::uint32_t> bins(q.size());
    std::vector<std::int64_t> ranks(q.size());
    for (std::size_t i = 0; i < q.size(); ++i) {
        ranks[i] = std::clamp<std::int64_t>(std::int64_t(std::ceil(q[i] * double(finite))) - 1, 0, finite - 1);
        bins[i] = binOfRank(upper, ranks[i]);
    }
    std::vector<std::vector<std::int64_t>> lower(q.size(), std::vector<std::int64_t>(1 << 16));
    for (const float value : values) {
        if (!std::isfinite(value)) continue;
        const std::uint32_t bits = orderedBits(transform(value));
        for (std::size_t i = 0; i < q.size(); ++i)
            if (bits >> 16 == bins[i]) ++lower[i][bits & 0xffffu];
    }
    for (std::size_t i = 0; i < q.size(); ++i)
        result[i] = fromOrderedBits(bins[i] << 16 | binOfRank(lower[i], ranks[i]));
    return result;
}

}  // namespace

namespace {

float rowMaximum90(const Matrix& matrix) {
    std::vector<float> maxima;
    maxima.reserve(std::size_t(matrix.rows));
    for (std::int64_t row = 0; row < matrix.rows; ++row) {
        float maximum = std::numeric_limits<float>::quiet_NaN();
        for (std::int64_t col = 0; col < matrix.cols; ++col)
            if (const float value = matrix.at(row, col); std::isfinite(value)) maximum = std::fmax(maximum, value);
        maxima.push_back(maximum);
    }
    const double most[] = {0.9};
    return quantiles(maxima, most)[0];
}

}  // namespace

std::vector<float> quantiles(std::span<const float> values, std::span<const double> q) {
    return exactQuantiles(values, q, [](float value) { return value; });
}

Histogram histogramOf(const Matrix& matrix, int bins) {
    require(bins >= 1, "histogram", "at least one bin is required, but {} were asked for", bins);
    Histogram result;
    result.counts.resize(std::size_t(bins));
    float lowest = std::numeric_limits<float>::infinity(), highest = -lowest, smallest = lowest;
    for (const float value : matrix.values) {
        if (std::isnan(value)) {
            ++result.nan;
        } else if (std::isinf(value)) {
            ++(value > 0 ? result.plusInf : result.minusInf);
        } else {
            ++result.finite;
            lowest = std::min(lowest, value);
            highest = std::max(highest, value);
            if (value > 0) smallest = std::min(smallest, value);
        }
    }
    if (result.finite == 0) return result;
    result.min = lowest;
    result.max = highest;
    if (std::isfinite(smallest)) result.smallestPositive = smallest;

    // In double: max − min may not fit into a float.
    const double perBin = (double(highest) - lowest) / bins;
    for (const float value : matrix.values)
        if (std::isfinite(value)) {
            const double bin = perBin > 0 ? (double(value) - lowest) / perBin : 0;
            ++result.counts[std::min(std::size_t(bin), std::size_t(bins - 1))];
        }
    const double ends[] = {0.01, 0.99}, tail[] = {0.995};
    const auto percentiles = quantiles(matrix.values, ends);
    result.percentile1 = percentiles[0];
    result.percentile99 = percentiles[1];
    result.rowMaximum90 = rowMaximum90(matrix);
    result.absPercentile995 = exactQuantiles(matrix.values, tail, [](float value) { return std::abs(value); })[0];
    return result;
}

ValueScale autoRange(const Histogram& histogram, ScaleKind kind) {
    return autoRange(std::span(&histogram, 1), kind);
}

ValueScale autoRange(std::span<const Histogram> histograms, ScaleKind kind) {
    float lowest = std::numeric_limits<float>::infinity(), highest = -lowest, magnitude = 0, logLow = lowest;
    float common = -lowest;
    for (const Histogram& one : histograms) {
        if (one.finite == 0) continue;
        lowest = std::min(lowest, one.min);
        highest = std::max(highest, one.max);
        common = std::max(common, one.rowMaximum90);
        // Where more than half a percent is not 0 the tail is left out; an almost empty matrix shows all it has.
        magnitude = std::max(magnitude, one.absPercentile995 > 0 ? one.absPercentile995
                                                                 : std::max(std::abs(one.min), std::abs(one.max)));
        if (one.max > 0) logLow = std::min(logLow, std::max({one.percentile1, one.smallestPositive, one.max * 1e-6f}));
    }
    ValueScale scale{kind, 0, 1};
    if (lowest > highest) return scale.usable();
    switch (kind) {
        case ScaleKind::Diverging:
            scale.lo = -magnitude, scale.hi = magnitude;
            break;
        case ScaleKind::Log:
            scale.lo = logLow, scale.hi = highest;
            break;
        case ScaleKind::Linear:
        case ScaleKind::Arcsinh:
            scale.lo = std::min(lowest, 0.0f);
            scale.hi = common > 0 && common < highest / 3 ? common : highest;
            break;
    }
    return scale.usable();
}

ValueScale ownRange(const Histogram& histogram, ScaleKind kind) {
    ValueScale scale = autoRange(histogram, kind);
    const bool fromZero = kind == ScaleKind::Linear || kind == ScaleKind::Arcsinh;
    if (fromZero && histogram.finite > 0) scale.lo = histogram.min;
    return scale.usable();
}

}  // namespace linscope::viz
