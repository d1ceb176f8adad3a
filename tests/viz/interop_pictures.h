#pragma once

#include <algorithm>
#include <cstdlib>
#include <random>

#include "tests/viz/vulkan_fixture.h"
#include "viz/interop/device_matrix.h"
#include "viz/offscreen/heatmap_image.h"

namespace linscope::viz {

// Twice as many cells as pixels a side: cells are pooled, by the same blocks with coarser levels and without.
inline constexpr std::int64_t kRows = 128, kCols = 256;
inline constexpr int kWidth = int(kCols) / 2, kHeight = int(kRows) / 2;

inline std::shared_ptr<const Matrix> randomMatrix(int seed) {
    Matrix matrix{kRows, kCols, std::vector<float>(std::size_t(kRows * kCols))};
    std::mt19937 random{static_cast<unsigned>(seed)};
    std::normal_distribution<float> normal;
    for (float& value : matrix.values) value = normal(random);
    return std::make_shared<const Matrix>(std::move(matrix));
}

inline HeatmapStyle pictureStyle(float hi = 3) {
    HeatmapStyle style;
    style.colours = &colourMap("graphite");  // neighbouring colours are one step of 255 apart, others two
    style.scale = {ScaleKind::Linear, hi > 1 ? -hi : 0, hi};
    style.grid = false;
    return style;
}

inline OffscreenPane wholePane(std::int64_t rows, std::int64_t cols) {
    OffscreenPane pane;
    pane.viewport = {0, 0, float(kWidth), float(kHeight)};
    pane.camera.fit(rows, cols, pane.viewport, false);
    pane.style = pictureStyle();
    return pane;
}

/// The picture of a matrix as every other view draws it.
inline RgbaImage pictureOf(Device& device, std::shared_ptr<const Matrix> matrix, Pooling pooling, float hi = 3) {
    OffscreenPane pane = wholePane(matrix->rows, matrix->cols);
    pane.matrix = std::move(matrix);
    pane.pooling = pooling;
    pane.style = pictureStyle(hi);
    return drawHeatmaps(device, kWidth, kHeight, {pane});
}

/// A pane on the cells of a DeviceMatrix, drawn frame after frame.
class CellsPicture {
public:
    CellsPicture(Device& device, const DeviceMatrix& cells, Pooling pooling)
        : m_target(device, kWidth, kHeight),
          m_renderer(device, m_target.renderPass(), m_target.format(), 1),
          m_pane(m_renderer),
          m_view(wholePane(cells.rows(), cells.cols())) {
        m_pane.setCells(cells.cells(), cells.rows(), cells.cols(), pooling);
    }
    HeatmapPane& pane() { return m_pane; }
    RgbaImage draw(float hi = 3) {
        m_renderer.beginFrame();
        return m_target.draw({1, 1, 1}, [&](VkCommandBuffer commands) {
            m_pane.draw(commands, m_view.camera, m_view.viewport, pictureStyle(hi));
        });
    }

private:
    OffscreenTarget m_target;
    HeatmapRenderer m_renderer;
    HeatmapPane m_pane;
    OffscreenPane m_view;
};

/// Of any channel of any pixel, in steps of 255.
inline int greatestDifference(const RgbaImage& a, const RgbaImage& b) {
    int greatest = a.pixels.size() == b.pixels.size() ? 0 : 256;
    for (std::size_t i = 0; greatest < 256 && i < a.pixels.size(); ++i)
        greatest = std::max(greatest, std::abs(int(a.pixels[i]) - int(b.pixels[i])));
    return greatest;
}

}  // namespace linscope::viz
