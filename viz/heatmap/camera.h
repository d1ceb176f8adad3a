#pragma once

#include <cstdint>

namespace linscope::viz {

/// A rectangle of pixels, origin at the top left of the target.
struct PixelRect {
    float x = 0, y = 0, width = 0, height = 0;
    bool contains(float px, float py) const { return px >= x && px < x + width && py >= y && py < y + height; }
};

/// A cell, or no cell (both −1). Row 0 is at the top, column 0 at the left.
struct Cell {
    std::int64_t row = -1, col = -1;
    bool valid() const { return row >= 0 && col >= 0; }
    bool operator==(const Cell&) const = default;
};

/// What part of one axis is seen, in cells: cell i covers [i, i+1). The centre is kept, so that a
/// resized pane looks at the same place. Linking the rows of two panes is copying this struct.
struct CameraAxis {
    double centre = 0;  ///< the coordinate in the middle of the viewport
    double pixelsPerCell = 1;

    double toPixel(double cell, double viewportSize) const {
        return (cell - centre) * pixelsPerCell + viewportSize / 2;
    }
    double toCell(double pixel, double viewportSize) const {
        return (pixel - viewportSize / 2) / pixelsPerCell + centre;
    }
    /// Multiplies the magnification; the coordinate under `pixel` stays under it.
    void zoom(double factor, double pixel, double viewportSize);
    /// Moves the picture by `pixels` (positive: to the right or down).
    void pan(double pixels) { centre -= pixels / pixelsPerCell; }
    /// All `cells` cells fill the viewport.
    void fit(double cells, double viewportSize);
};

/// What part of a matrix is seen in a viewport. Pure numbers; pixel arguments are absolute, viewport included.
class HeatmapCamera {
public:
    CameraAxis rows, cols;

    /// Shows the whole matrix. With `squareCells` rows and columns have one magnification.
    void fit(std::int64_t rowCount, std::int64_t colCount, const PixelRect& viewport, bool squareCells);

    /// The cell under the pixel, or no cell outside the matrix or the viewport.
    Cell cellAt(float px, float py, std::int64_t rowCount, std::int64_t colCount, const PixelRect& viewport) const;
};

}  // namespace linscope::viz
