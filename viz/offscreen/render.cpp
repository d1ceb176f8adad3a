#include "viz/offscreen/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "viz/heatmap/histogram.h"
#include "viz/offscreen/heatmap_image.h"
#include "viz/offscreen/typesetter.h"

namespace linscope::viz {
namespace {

constexpr Colour kInk{0.11f, 0.12f, 0.15f}, kSoftInk{0.38f, 0.41f, 0.46f}, kRule{0.55f, 0.58f, 0.62f};

void fill(RgbaImage& image, int x0, int y0, int x1, int y1, const Colour& colour) {
    for (int y = std::max(y0, 0); y < std::min(y1, image.height); ++y)
        for (int x = std::max(x0, 0); x < std::min(x1, image.width); ++x) {
            std::uint8_t* pixel = image.at(x, y);
            pixel[0] = std::uint8_t(std::lround(colour.red * 255));
            pixel[1] = std::uint8_t(std::lround(colour.green * 255));
            pixel[2] = std::uint8_t(std::lround(colour.blue * 255));
            pixel[3] = 255;
        }
}

// A one-unit frame around the pixels [x0,x1) × [y0,y1).
void frame(RgbaImage& image, int x0, int y0, int x1, int y1, int unit) {
    fill(image, x0 - unit, y0 - unit, x1 + unit, y0, kRule);
    fill(image, x0 - unit, y1, x1 + unit, y1 + unit, kRule);
    fill(image, x0 - unit, y0, x0, y1, kRule);
    fill(image, x1, y0, x1 + unit, y1, kRule);
}

struct Clipping {
    std::int64_t below = 0, above = 0, notPositive = 0;
};

Clipping countClipped(const Matrix& matrix, const ValueScale& scale) {
    Clipping result;
    for (const float value : matrix.values) {
        if (!std::isfinite(value)) continue;
        if (scale.kind == ScaleKind::Log && value <= 0)
            ++result.notPositive;
        else if (value < scale.lo)
            ++result.below;
        else if (value > scale.hi)
            ++result.above;
    }
    return result;
}

// The largest whole number of pixels a cell where that fills most of the room, so that all cells look alike.
int sideOf(std::int64_t cells, int room) {
    const std::int64_t whole = room / cells * cells;
    return whole * 10 >= std::int64_t(room) * 7 ? int(whole) : room;
}

std::string percent(std::int64_t part, std::int64_t all) {
    return fmt::format("{:.2g} %", 100.0 * double(part) / double(all));
}

/// One picture being laid out. Lengths are pixels; `m_unit` is the width of a hairline.
class Figure {
public:
    Figure(Device& device, const ViewPicture& picture, const RenderOptions& options)
        : m_device(device), m_picture(picture), m_options(options), m_image(options.width, options.height) {
        m_zoom = std::clamp(std::min(float(options.width) / 1440, float(options.height) / 1280), 0.4f, 4.0f);
        m_unit = std::max(1, int(std::lround(m_zoom)));
        m_histogram = histogramOf(*picture.matrix, 1);
        m_scale = options.scale ? options.scale->usable() : autoRange(m_histogram, picture.scale);
        m_colours = options.colours.empty() ? &defaultColourMap(m_scale.kind == ScaleKind::Diverging)
                                            : &colourMap(options.colours);
        m_clipping = countClipped(*picture.matrix, m_scale);
    }

    RgbaImage draw() {
        layOut();
        drawMap();
        drawHead();
        drawAxes();
        drawBar();
        drawNotes();
        return std::move(m_image);
    }

    const ValueScale& scale() const { return m_scale; }
    const ColourMap& colours() const { return *m_colours; }

private:
    int px(float length) const { return int(std::lround(length * m_zoom)); }
    float tickSize() const { return std::max(10.0f, 19 * m_zoom); }
    float labelSize() const { return std::max(11.0f, 22 * m_zoom); }

    std::vector<double> axisTicks(std::int64_t cells, std::int64_t block, int pixels) const {
        auto ticks = niceTicks(0, double(cells * block - 1), std::max(2, std::min(8, pixels / px(110))));
        // Only whole tokens have names.
        std::erase_if(ticks, [](double tick) { return tick != std::floor(tick); });
        return ticks;
    }

    void layOut() {
        const Matrix& matrix = *m_picture.matrix;
        float widest = 0;
        for (const double tick : axisTicks(matrix.rows, m_picture.rowBlock, px(900)))
            widest = std::max(widest, m_type.width(tickText(tick), tickSize()));
        m_barTicks = scaleTicks(m_scale, 7);
        m_barTickWidth = 0;
        for (const double tick : m_barTicks)
            m_barTickWidth = std::max(m_barTickWidth, m_type.width(tickText(tick), tickSize()));
        const int margin = px(44);
        m_left = margin + px(34) + int(widest) + px(22);
        m_top = margin + px(m_options.caption.empty() && m_picture.detail.empty() ? 52 : 88);
        const int right = px(40) + px(26) + px(20) + int(m_barTickWidth) + px(44) + margin;
        const int bottom = px(86) + px(58) + margin / 2;
        const int roomX = std::max(16, m_options.width - m_left - right);
        const int roomY = std::max(16, m_options.height - m_top - bottom);
        const double ratio = double(matrix.cols) / double(matrix.rows);
        if (ratio > 0.5 && ratio < 2) {
            const double cell = std::min(double(roomX) / double(matrix.cols), double(roomY) / double(matrix.rows));
            const double snapped = cell >= 1 && std::floor(cell) >= 0.7 * cell ? std::floor(cell) : cell;
            m_width = std::max(1, int(double(matrix.cols) * snapped));
            m_height = std::max(1, int(double(matrix.rows) * snapped));
        } else {
            m_width = sideOf(matrix.cols, roomX);
            m_height = sideOf(matrix.rows, roomY);
        }
    }

    void drawMap() {
        const Matrix& matrix = *m_picture.matrix;
        OffscreenPane pane;
        pane.matrix = m_picture.matrix;
        pane.cells = m_picture.cells;
        pane.pooling = m_picture.pooling;
        pane.viewport = {float(m_left), float(m_top), float(m_width), float(m_height)};
        pane.camera.fit(matrix.rows, matrix.cols, pane.viewport, false);
        pane.style.colours = m_colours;
        pane.style.scale = m_scale;
        pane.style.background = {1, 1, 1};
        m_image = drawHeatmaps(m_device, m_options.width, m_options.height, {pane});
        m_cellsPerPixel = std::max(double(matrix.rows) / m_height, double(matrix.cols) / m_width);
        frame(m_image, m_left, m_top, m_left + m_width, m_top + m_height, m_unit);
    }

    void drawHead() {
        const float x = float(m_left - m_unit);
        m_type.draw(m_image, m_picture.title,
                    {.x = x,
                     .y = float(px(44) + px(26)),
                     .size = fitted(m_picture.title, std::max(14.0f, 32 * m_zoom)),
                     .colour = kInk,
                     .weight = TextWeight::Semibold});
        std::string line = m_options.caption;
        if (!m_picture.detail.empty()) line += (line.empty() ? "" : "  ·  ") + m_picture.detail;
        m_type.draw(m_image, line,
                    {.x = x,
                     .y = float(px(44) + px(63)),
                     .size = fitted(line, std::max(11.0f, 21 * m_zoom)),
                     .colour = kSoftInk});
    }

    // The size at which the text still ends before the margin.
    float fitted(const std::string& text, float size) {
        const float room = float(m_options.width - m_left - px(44)), needed = m_type.width(text, size);
        return needed > room ? size * room / needed : size;
    }

    void drawAxes() {
        const Matrix& matrix = *m_picture.matrix;
        const int right = m_left + m_width, bottom = m_top + m_height, tick = px(7);
        const auto place = [](double token, std::int64_t block, std::int64_t cells, int size) {
            return (token + 0.5) / double(block) / double(cells) * size;
        };
        for (const double token : axisTicks(matrix.cols, m_picture.colBlock, m_width)) {
            const int x = m_left + int(place(token, m_picture.colBlock, matrix.cols, m_width));
            fill(m_image, x, bottom, x + m_unit, bottom + tick, kRule);
            m_type.draw(m_image, tickText(token),
                        {.x = x + m_unit / 2.0f,
                         .y = float(bottom + tick + px(22)),
                         .size = tickSize(),
                         .colour = kSoftInk,
                         .align = TextAlign::Centre});
        }
        for (const double token : axisTicks(matrix.rows, m_picture.rowBlock, m_height)) {
            const int y = m_top + int(place(token, m_picture.rowBlock, matrix.rows, m_height));
            fill(m_image, m_left - tick, y, m_left, y + m_unit, kRule);
            m_type.draw(m_image, tickText(token),
                        {.x = float(m_left - tick - px(7)),
                         .y = y + tickSize() * 0.36f,
                         .size = tickSize(),
                         .colour = kSoftInk,
                         .align = TextAlign::Right});
        }
        const auto label = [](const std::string& axis, std::int64_t block) {
            return block > 1 ? fmt::format("{} (cells of {})", axis, block) : axis;
        };
        m_type.draw(m_image, label(m_picture.colAxis, m_picture.colBlock),
                    {.x = (m_left + right) / 2.0f,
                     .y = float(bottom + px(70)),
                     .size = labelSize(),
                     .colour = kInk,
                     .align = TextAlign::Centre});
        m_type.draw(m_image, label(m_picture.rowAxis, m_picture.rowBlock),
                    {.x = float(px(44) + px(18)),
                     .y = (m_top + bottom) / 2.0f,
                     .size = labelSize(),
                     .colour = kInk,
                     .align = TextAlign::Centre,
                     .upward = true});
    }

    void drawBar() {
        const int x0 = m_left + m_width + px(40), x1 = x0 + px(26);
        const int y0 = m_top + px(14), y1 = m_top + m_height - px(14), height = y1 - y0;
        for (int y = y0; y < y1; ++y)
            fill(m_image, x0, y, x1, y + 1, m_colours->at(float(y1 - 1 - y) / float(std::max(1, height - 1))));
        frame(m_image, x0, y0, x1, y1, m_unit);
        // An arrow at an end says that there are values past it.
        if (m_clipping.above > 0) arrow(x0, x1, y0 - 2 * m_unit, -1, m_colours->at(1));
        if (m_clipping.below + m_clipping.notPositive > 0) arrow(x0, x1, y1 + 2 * m_unit, 1, m_colours->at(0));
        const int tick = px(6);
        for (const double value : m_barTicks) {
            const float t = m_scale.position(float(value));
            if (!(t > -1e-3f && t < 1 + 1e-3f)) continue;
            const int y = y1 - 1 - int(std::lround(std::clamp(t, 0.0f, 1.0f) * float(height - 1)));
            fill(m_image, x1 + m_unit, y, x1 + m_unit + tick, y + m_unit, kRule);
            m_type.draw(
                m_image, tickText(value),
                {.x = float(x1 + tick + px(8)), .y = y + tickSize() * 0.36f, .size = tickSize(), .colour = kSoftInk});
        }
        m_type.draw(m_image, fmt::format("{}, {} scale", m_picture.valueName, scaleName(m_scale.kind)),
                    {.x = x1 + tick + px(8) + m_barTickWidth + px(36),
                     .y = (y0 + y1) / 2.0f,
                     .size = labelSize(),
                     .colour = kInk,
                     .align = TextAlign::Centre,
                     .upward = true});
    }

    // A triangle on the base line `y` that points up (−1) or down (+1).
    void arrow(int x0, int x1, int y, int direction, const Colour& colour) {
        const int height = (x1 - x0) / 2;
        for (int i = 0; i < height; ++i) {
            const int row = direction > 0 ? y + i : y - 1 - i;
            fill(m_image, x0 + i, row, x1 - i, row + 1, colour);
        }
    }

    void drawNotes() {
        const float size = std::max(10.0f, 18 * m_zoom);
        const float y = float(std::min(m_options.height - px(30), m_top + m_height + px(150)));
        std::string text;
        const auto add = [&](const std::string& part) { text += (text.empty() ? "" : "  ·  ") + part; };
        if (m_picture.pooled != "none")
            add(fmt::format("{} of {} × {} tokens a cell", m_picture.pooled, m_picture.rowBlock, m_picture.colBlock));
        if (m_cellsPerPixel > 1 + 1e-9) add(fmt::format("{} of the cells on a pixel", poolingName(m_picture.pooling)));
        if (text.empty()) text = "not pooled";
        const std::int64_t all = std::int64_t(m_picture.matrix->values.size());
        add(fmt::format("values from {} to {}", tickText(roundTo3(m_histogram.min)),
                        tickText(roundTo3(m_histogram.max))));
        if (m_options.tellsRange)
            add(fmt::format("colours from {} to {}", tickText(roundTo3(m_scale.lo)), tickText(roundTo3(m_scale.hi))));
        if (m_clipping.above > 0) add(percent(m_clipping.above, all) + " above the range");
        if (m_clipping.below > 0) add(percent(m_clipping.below, all) + " below the range");
        if (m_clipping.notPositive > 0) add(percent(m_clipping.notPositive, all) + " not positive, drawn as below");
        const float noteSize = [&] {
            const float room = float(m_options.width - m_left - px(44)), needed = m_type.width(text, size);
            return needed > room ? std::max(8.0f, size * room / needed) : size;
        }();
        m_type.draw(m_image, text, {.x = float(m_left - m_unit), .y = y, .size = noteSize, .colour = kSoftInk});
        drawLoudLegend(size, y - size * 1.6f);
    }

    void drawLoudLegend(float size, float y) {
        float x = float(m_left - m_unit);
        const auto entry = [&](const Colour& colour, std::int64_t count, const char* name) {
            if (count == 0) return;
            const int side = int(size * 0.8f);
            fill(m_image, int(x), int(y) - side, int(x) + side, int(y), colour);
            const std::string text = fmt::format("{}: {} {}", name, count, count == 1 ? "cell" : "cells");
            m_type.draw(m_image, text,
                        {.x = x + size * 1.2f, .y = y, .size = size, .colour = kInk, .weight = TextWeight::Semibold});
            x += size * 2.6f + m_type.width(text, size, TextWeight::Semibold);
        };
        entry(kNanColour, m_histogram.nan, "NaN");
        entry(kPlusInfColour, m_histogram.plusInf, "+∞");
        entry(kMinusInfColour, m_histogram.minusInf, "−∞");
    }

    static double roundTo3(double value) { return std::stod(fmt::format("{:.3g}", value)); }

    Device& m_device;
    const ViewPicture& m_picture;
    const RenderOptions& m_options;
    RgbaImage m_image;
    Typesetter m_type;
    Histogram m_histogram;
    ValueScale m_scale;
    const ColourMap* m_colours = nullptr;
    Clipping m_clipping;
    std::vector<double> m_barTicks;
    float m_zoom = 1, m_barTickWidth = 0;
    int m_unit = 1, m_left = 0, m_top = 0, m_width = 0, m_height = 0;
    double m_cellsPerPixel = 1;
};

void requireDrawable(const ViewPicture& picture, const RenderOptions& options) {
    require(picture.matrix && picture.matrix->rows > 0 && picture.matrix->cols > 0, "render",
            "a matrix with cells is required, but it is empty");
    require(options.width >= 320 && options.height >= 280, "render",
            "a picture of at least 320 × 280 pixels is required, but {} × {} were asked for", options.width,
            options.height);
}

}  // namespace

RgbaImage renderFigure(Device& device, const ViewPicture& picture, const RenderOptions& options) {
    requireDrawable(picture, options);
    return Figure(device, picture, options).draw();
}

void renderToPng(Device& device, const std::string& path, const ViewPicture& picture, const RenderOptions& options) {
    requireDrawable(picture, options);
    Figure figure(device, picture, options);
    const RgbaImage image = figure.draw();
    PngText text{{"Title", picture.title}, {"Software", "Linscope"}};
    text.insert(text.end(), options.metadata.begin(), options.metadata.end());
    text.emplace_back("detail", picture.detail);
    text.emplace_back("rows", fmt::format("{} {}", picture.matrix->rows, picture.rowAxis));
    text.emplace_back("columns", fmt::format("{} {}", picture.matrix->cols, picture.colAxis));
    text.emplace_back("pooling", picture.pooled);
    text.emplace_back("scale", std::string(scaleName(figure.scale().kind)));
    text.emplace_back("range", fmt::format("{:.9g} {:.9g}", figure.scale().lo, figure.scale().hi));
    text.emplace_back("colours", figure.colours().name());
    writePng(path, image, text);
}

}  // namespace linscope::viz
