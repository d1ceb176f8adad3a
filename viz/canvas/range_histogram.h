#pragma once

#include <span>
#include <string>

#include "viz/canvas/colouring.h"
#include "viz/imgui/imgui_host.h"

namespace linscope::viz {

/// One distribution under the range control.
struct HistogramLayer {
    const ValueStatistics* statistics = nullptr;
    bool filled = true;  ///< bars in the map's own colours; otherwise an outline above them
};

/// Where values lie on a histogram's axis: linear in the value, or in its logarithm for the log scale.
class RangeAxis {
public:
    RangeAxis(std::span<const HistogramLayer> layers, const ValueScale& scale);
    double toShare(double value) const;  ///< 0 left … 1 right
    double toValue(double share) const;
    double low() const { return m_low; }  ///< on the axis: a value or its log₁₀
    double high() const { return m_high; }
    bool logarithmic() const { return m_logarithmic; }

private:
    bool m_logarithmic;
    double m_low = 0, m_high = 1;
};

/// A histogram (heights are logarithmic) whose two handles are the ends of the colour range: drag a handle,
/// or the span between them; a right click makes the range automatic again.
void rangeHistogram(const ImGuiHost& host, const char* id, RangeOf range, Colouring& colouring,
                    std::span<const HistogramLayer> layers, ImVec2 size);

}  // namespace linscope::viz
