#include "viz/heatmap/camera.h"

#include <algorithm>
#include <cmath>

namespace linscope::viz {

void CameraAxis::zoom(double factor, double pixel, double viewportSize) {
    const double anchor = toCell(pixel, viewportSize);
    pixelsPerCell *= factor;
    centre = anchor - (pixel - viewportSize / 2) / pixelsPerCell;
}

void CameraAxis::fit(double cells, double viewportSize) {
    centre = cells / 2;
    pixelsPerCell = std::max(viewportSize, 1.0) / std::max(cells, 1.0);
}

void HeatmapCamera::fit(std::int64_t rowCount, std::int64_t colCount, const PixelRect& viewport, bool squareCells) {
    rows.fit(double(rowCount), viewport.height);
    cols.fit(double(colCount), viewport.width);
    if (squareCells) rows.pixelsPerCell = cols.pixelsPerCell = std::min(rows.pixelsPerCell, cols.pixelsPerCell);
}

Cell HeatmapCamera::cellAt(float px, float py, std::int64_t rowCount, std::int64_t colCount,
                           const PixelRect& viewport) const {
    if (!viewport.contains(px, py)) return {};
    const double row = std::floor(rows.toCell(py - viewport.y, viewport.height));
    const double col = std::floor(cols.toCell(px - viewport.x, viewport.width));
    if (row < 0 || col < 0 || row >= double(rowCount) || col >= double(colCount)) return {};
    return {std::int64_t(row), std::int64_t(col)};
}

}  // namespace linscope::viz
