#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "viz/canvas/map_service.h"
#include "viz/heatmap/value_scale.h"

namespace linscope::viz {

class ColourMap;

/// Pictures whose colours are comparable share one range.
enum class RangeOf {
    Exact,        ///< P: weights, 0 and more
    Lifted,       ///< signed for Linformer; with setJoint(), exact and lifted together
    Compressed,   ///< P̄: sums to 1 over slots, so its values are larger
    Difference,   ///< symmetric about 0
    Projections,  ///< E and F, symmetric about 0
    FirstLane,    ///< what that lane does, where lanes have a range each; those of the other lanes follow
};
inline constexpr int kLaneRanges = 6;  ///< as many as an experiment has lanes
inline constexpr int kRangeCount = static_cast<int>(RangeOf::FirstLane) + kLaneRanges;
RangeOf rangeOfOneLane(int lane);

/// Whether a person wants exact and lifted map in one range, for each kind of lifted maps; without: as at first.
struct JointChoice {
    std::optional<bool> ofSigned, ofWeights;
    bool operator==(const JointChoice&) const = default;
};

/// How values become colours on the whole canvas: what the colour tools edit.
class Colouring {
public:
    /// What a person chose for token maps and compressed map; linear at first.
    ScaleKind kind() const { return m_kind; }
    /// Their ranges become automatic again. Where values are signed (the lifted map of Linformer), linear is
    /// diverging, arcsinh symmetric, and log arcsinh, so that zero looks like zero and no sign is lost. Differences and
    /// projections are signed and stay diverging, the compressed map is not and never is.
    void setKind(ScaleKind kind);

    /// One range for exact and lifted map, so that equal colours are equal weights: what the eye takes for granted of
    /// maps that stand side by side. Unless a person has chosen, signed lifted maps (Linformer's) have a range of their
    /// own: they can be so much larger that the exact one would be one flat colour.
    bool joint() const;
    /// A person's choice: for lifted maps of the kind that is shown, signed or not; the other kind stays as it is.
    void setJoint(bool joint);
    const JointChoice& chosenJoint() const { return m_joint; }
    void restoreJoint(const JointChoice& chosen);

    /// Of lanes side by side: false, as at first, one range for the weights of all, so that equal colours are equal
    /// weights (and joint() or another one for signed maps); true, each lane fills a range of its own, so that flat
    /// maps show what they are made of.
    bool rangeEach() const { return m_rangeEach; }
    void setRangeEach(bool each) { m_rangeEach = each; }
    /// Which one that is for a lane.
    RangeOf rangeOfLane(int lane, bool isSigned) const;

    /// What a person chose; empty: as at first.
    const std::string& sequentialName() const { return m_sequential; }
    const std::string& divergingName() const { return m_diverging; }
    /// Unless a person has chosen, signed maps are dark in the middle where the ground is dark, and light where it is
    /// light. At first it is dark.
    void setDarkGround(bool dark) { m_darkGround = dark; }
    /// Sets the map of its own kind. Throws Error for an unknown name.
    void setColours(const std::string& name);

    /// What the automatic range is made from, whenever new pictures come.
    void setStatistics(RangeOf range, std::span<const ValueStatistics* const> statistics);

    /// The range is as wide on either side of 0, and colours are those of signed values.
    bool isSymmetric(RangeOf range) const;
    bool isAutomatic(RangeOf range) const { return at(range).automatic; }
    void setRange(RangeOf range, float low, float high);
    void setAutomatic(RangeOf range);
    ValueScale scale(RangeOf range) const;
    const ColourMap& colours(RangeOf range) const;

private:
    struct Range {
        bool automatic = true;
        float low = 0, high = 1;
        ValueScale fitted;  ///< from the statistics, for the current kind
    };
    RangeOf resolved(RangeOf range) const { return joint() && range == RangeOf::Exact ? RangeOf::Lifted : range; }
    Range& at(RangeOf range) { return m_ranges[static_cast<int>(resolved(range))]; }
    const Range& at(RangeOf range) const { return m_ranges[static_cast<int>(resolved(range))]; }
    /// Of everything that shares the range.
    std::vector<Histogram> histograms(RangeOf range) const;
    bool isSigned(RangeOf range) const;
    bool liftedIsSigned() const;
    ScaleKind kindOf(RangeOf range) const;
    void refit(RangeOf range);

    JointChoice m_joint;
    bool m_rangeEach = false;
    ScaleKind m_kind = ScaleKind::Linear;
    std::string m_sequential, m_diverging;
    bool m_darkGround = true;
    std::array<Range, kRangeCount> m_ranges;
    std::array<std::vector<Histogram>, kRangeCount> m_histograms;
};

/// Which values a scale draws in the colour of its end: those below, above, or on both sides ("clipped"); empty: none.
std::string clippingNote(const Histogram& values, const ValueScale& scale);

}  // namespace linscope::viz
