#include "viz/heatmap/camera.h"

#include <algorithm>
#include <cmath>

namespace linscope::viz {
namespace {

double fittedMagnification(double cells, double viewportSize) {
    return std::max(viewportSize, 1.0) / std::max(cells, 1.0);
}

// The smallest and largest factor that keep an axis within its limits.
struct FactorLimits {
    double least, most;
};
FactorLimits factorLimits(const CameraAxis& axis, double cells, double viewportSize) {
    const double fitted = fittedMagnification(cells, viewportSize);
    return {fitted / 4 / axis.pixelsPerCell, std::max(fitted, HeatmapCamera::kMaxPixelsPerCell) / axis.pixelsPerCell};
}

}  // namespace

void CameraAxis::zoom(double factor, double pixel, double viewportSize) {
    const double anchor = toCell(pixel, viewportSize);
    pixelsPerCell *= factor;
    centre = anchor - (pixel - viewportSize / 2) / pixelsPerCell;
}

void CameraAxis::fit(double cells, double viewportSize) {
    centre = cells / 2;
    pixelsPerCell = fittedMagnification(cells, viewportSize);
}

void CameraAxis::clamp(double cells, double viewportSize, double maxPixelsPerCell) {
    const double fitted = fittedMagnification(cells, viewportSize);
    pixelsPerCell = std::clamp(pixelsPerCell, fitted / 4, std::max(fitted, maxPixelsPerCell));
    centre = std::clamp(centre, 0.0, std::max(cells, 0.0));
}

void HeatmapCamera::fit(std::int64_t rowCount, std::int64_t colCount, const PixelRect& viewport, bool squareCells) {
    rows.fit(double(rowCount), viewport.height);
    cols.fit(double(colCount), viewport.width);
    if (squareCells) rows.pixelsPerCell = cols.pixelsPerCell = std::min(rows.pixelsPerCell, cols.pixelsPerCell);
    fitted = true;
}

void HeatmapCamera::zoomAbout(double factor, float px, float py, std::int64_t rowCount, std::int64_t colCount,
                              const PixelRect& viewport) {
    const FactorLimits vertical = factorLimits(rows, double(rowCount), viewport.height);
    const FactorLimits horizontal = factorLimits(cols, double(colCount), viewport.width);
    // One factor for both axes, so that the shape of cells does not change at the limits.
    const double least = std::min(1.0, std::max(vertical.least, horizontal.least));
    const double most = std::max(1.0, std::min(vertical.most, horizontal.most));
    const double allowed = std::clamp(factor, least, most);
    rows.zoom(allowed, py - viewport.y, viewport.height);
    cols.zoom(allowed, px - viewport.x, viewport.width);
    clamp(rowCount, colCount, viewport);
    fitted = false;
}

void HeatmapCamera::pan(float dx, float dy, std::int64_t rowCount, std::int64_t colCount, const PixelRect& viewport) {
    rows.pan(dy);
    cols.pan(dx);
    clamp(rowCount, colCount, viewport);
    fitted = false;
}

void HeatmapCamera::clamp(std::int64_t rowCount, std::int64_t colCount, const PixelRect& viewport) {
    rows.clamp(double(rowCount), viewport.height, kMaxPixelsPerCell);
    cols.clamp(double(colCount), viewport.width, kMaxPixelsPerCell);
}

void HeatmapCamera::lookAt(Cell cell) {
    rows.centre = double(cell.row) + 0.5;
    cols.centre = double(cell.col) + 0.5;
    fitted = false;
}

Cell HeatmapCamera::cellAt(float px, float py, std::int64_t rowCount, std::int64_t colCount,
                           const PixelRect& viewport) const {
    if (!viewport.contains(px, py)) return {};
    const double row = std::floor(rows.toCell(py - viewport.y, viewport.height));
    const double col = std::floor(cols.toCell(px - viewport.x, viewport.width));
    if (row < 0 || col < 0 || row >= double(rowCount) || col >= double(colCount)) return {};
    return {std::int64_t(row), std::int64_t(col)};
}

PixelRect HeatmapCamera::cellRect(Cell cell, const PixelRect& viewport) const {
    return {float(viewport.x + cols.toPixel(double(cell.col), viewport.width)),
            float(viewport.y + rows.toPixel(double(cell.row), viewport.height)), float(cols.pixelsPerCell),
            float(rows.pixelsPerCell)};
}

}  // namespace linscope::viz
