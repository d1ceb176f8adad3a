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
    TokenMaps,    ///< exact and lifted
    Compressed,   ///< P̄: sums to 1 over slots, so its values are larger
    Difference,   ///< symmetric about 0
    Projections,  ///< E and F, symmetric about 0
};
inline constexpr int kRangeCount = 4;

/// How values become colours on the whole canvas: what the colour tools edit.
class Colouring {
public:
    /// Scale of the token maps. Until one is chosen it is diverging when a shown map is signed (a lifted
    /// map of Linformer), so that zero looks like zero, and linear otherwise.
    ScaleKind kind() const { return kindOf(RangeOf::TokenMaps); }
    bool kindChosen() const { return m_kind.has_value(); }
    /// Of token maps and compressed map, whose ranges become automatic again; nothing: chosen by the values.
    /// Differences and projections are signed and stay diverging, the compressed map is not and never is.
    void setKind(std::optional<ScaleKind> kind);

    const std::string& sequentialName() const { return m_sequential; }
    const std::string& divergingName() const { return m_diverging; }
    /// Sets the map of its own kind. Throws Error for an unknown name.
    void setColours(const std::string& name);

    /// What the automatic range is made from, whenever new pictures come.
    void setStatistics(RangeOf range, std::span<const ValueStatistics* const> statistics);

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
    Range& at(RangeOf range) { return m_ranges[static_cast<int>(range)]; }
    const Range& at(RangeOf range) const { return m_ranges[static_cast<int>(range)]; }
    ScaleKind kindOf(RangeOf range) const;
    void refit(RangeOf range);

    std::optional<ScaleKind> m_kind;
    std::string m_sequential, m_diverging = "polar";  ///< dark where the ground is dark
    std::array<Range, kRangeCount> m_ranges;
    std::array<std::vector<Histogram>, kRangeCount> m_histograms;
};

}  // namespace linscope::viz
