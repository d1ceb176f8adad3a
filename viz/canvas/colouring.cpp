#include "viz/canvas/colouring.h"

#include <algorithm>
#include <cmath>

#include "viz/heatmap/colour_map.h"

namespace linscope::viz {

RangeOf rangeOfOneLane(int lane) {
    return static_cast<RangeOf>(static_cast<int>(RangeOf::FirstLane) + std::clamp(lane, 0, kLaneRanges - 1));
}

RangeOf Colouring::rangeOfLane(int lane, bool isSigned) const {
    return m_rangeEach ? rangeOfOneLane(lane) : isSigned ? RangeOf::Lifted : RangeOf::Exact;
}

void Colouring::setKind(ScaleKind kind) {
    if (kind == m_kind) return;
    m_kind = kind;
    for (const RangeOf range : {RangeOf::Exact, RangeOf::Lifted, RangeOf::Compressed}) setAutomatic(range);
    for (int lane = 0; lane < kLaneRanges; ++lane) setAutomatic(rangeOfOneLane(lane));
}

bool Colouring::liftedIsSigned() const {
    const auto& lifted = m_histograms[static_cast<int>(RangeOf::Lifted)];
    return std::ranges::any_of(lifted, [](const Histogram& one) { return one.min < 0; });
}

bool Colouring::joint() const {
    const bool isSigned = liftedIsSigned();
    return (isSigned ? m_joint.ofSigned : m_joint.ofWeights).value_or(!isSigned);
}

void Colouring::setJoint(bool joint) {
    const bool before = this->joint();
    (liftedIsSigned() ? m_joint.ofSigned : m_joint.ofWeights) = joint;
    if (joint == before) return;
    for (const RangeOf range : {RangeOf::Exact, RangeOf::Lifted}) setAutomatic(range);
}

void Colouring::restoreJoint(const JointChoice& chosen) {
    const bool before = joint();
    m_joint = chosen;
    if (joint() == before) return;
    for (const RangeOf range : {RangeOf::Exact, RangeOf::Lifted}) setAutomatic(range);
}

std::vector<Histogram> Colouring::histograms(RangeOf range) const {
    range = resolved(range);
    std::vector<Histogram> all = m_histograms[static_cast<int>(range)];
    if (joint() && range == RangeOf::Lifted) {
        const auto& exact = m_histograms[static_cast<int>(RangeOf::Exact)];
        all.insert(all.end(), exact.begin(), exact.end());
    }
    return all;
}

void Colouring::setColours(const std::string& name) {
    (colourMap(name).isDiverging() ? m_diverging : m_sequential) = name;
}

bool Colouring::isSigned(RangeOf range) const {
    if (range == RangeOf::Difference || range == RangeOf::Projections) return true;
    const std::vector<Histogram> shown = histograms(range);
    return std::any_of(shown.begin(), shown.end(), [](const Histogram& one) { return one.min < 0; });
}

ScaleKind Colouring::kindOf(RangeOf range) const {
    switch (range) {
        case RangeOf::Difference:
        case RangeOf::Projections:
            return ScaleKind::Diverging;
        case RangeOf::Compressed:
            return m_kind != ScaleKind::Diverging ? m_kind : ScaleKind::Linear;
        default:
            break;
    }
    if (!isSigned(range)) return m_kind;
    return m_kind == ScaleKind::Linear ? ScaleKind::Diverging : m_kind == ScaleKind::Log ? ScaleKind::Arcsinh : m_kind;
}

bool Colouring::isSymmetric(RangeOf range) const {
    const ScaleKind kind = kindOf(range);
    return kind == ScaleKind::Diverging || (kind == ScaleKind::Arcsinh && isSigned(range));
}

void Colouring::refit(RangeOf range) {
    const std::vector<Histogram> shown = histograms(range);
    if (shown.empty())
        at(range).fitted = {.kind = kindOf(range), .lo = 0, .hi = 1, .linearWidth = 0};
    else if (range >= RangeOf::FirstLane)
        at(range).fitted = ownRange(shown.front(), kindOf(range));
    else
        at(range).fitted = autoRange(shown, kindOf(range));
}

void Colouring::setStatistics(RangeOf range, std::span<const ValueStatistics* const> statistics) {
    auto& kept = m_histograms[static_cast<int>(range)];
    kept.clear();
    for (const ValueStatistics* one : statistics) kept.push_back(one->values);
    refit(range);
    if (range == RangeOf::Lifted) refit(RangeOf::Exact);  // they may have come together or apart
}

void Colouring::setRange(RangeOf range, float low, float high) {
    if (!std::isfinite(low) || !std::isfinite(high)) return;
    Range& chosen = at(range);
    chosen.automatic = false;
    if (isSymmetric(range)) {
        const float bound = std::max(std::abs(low), std::abs(high));
        low = -bound;
        high = bound;
    }
    chosen.low = std::min(low, high);
    chosen.high = std::max(low, high);
}

void Colouring::setAutomatic(RangeOf range) {
    at(range).automatic = true;
    refit(range);
}

ValueScale Colouring::scale(RangeOf range) const {
    const Range& chosen = at(range);
    ValueScale scale = chosen.fitted;
    scale.kind = kindOf(range);
    if (!chosen.automatic) {
        scale.lo = chosen.low;
        scale.hi = chosen.high;
    }
    if (isSymmetric(range)) {
        scale.hi = std::max(std::abs(scale.lo), std::abs(scale.hi));
        scale.lo = -scale.hi;
    }
    return scale.usable();
}

const ColourMap& Colouring::colours(RangeOf range) const {
    const bool diverging = isSymmetric(range);
    const std::string& name = diverging ? m_diverging : m_sequential;
    if (!name.empty()) return colourMap(name);
    return diverging && m_darkGround ? colourMap("polar") : defaultColourMap(diverging);
}

std::string clippingNote(const Histogram& values, const ValueScale& scale) {
    const bool symmetric = scale.kind == ScaleKind::Diverging;
    const float bound = std::max(std::abs(scale.lo), std::abs(scale.hi));
    const bool below = values.min<(symmetric ? -bound : scale.lo), above = values.max>(symmetric ? bound : scale.hi);
    if (below && above) return "clipped";
    if (below) return scale.kind == ScaleKind::Log ? "below range: darkest" : "clipped below";
    return above ? "clipped above" : "";
}

}  // namespace linscope::viz
