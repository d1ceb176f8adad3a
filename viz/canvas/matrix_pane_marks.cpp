#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "viz/canvas/axis_ticks.h"
#include "viz/canvas/math_text.h"
#include "viz/canvas/matrix_pane.h"
#include "viz/canvas/pane_metrics.h"

namespace linscope::viz {

namespace {

struct Range {
    std::int64_t first = 0, last = -1;
};

/// The units of which a part lies inside the plot.
Range visibleUnits(const PaneAxis& axis, double plot) {
    const auto first = static_cast<std::int64_t>(std::floor(axis.camera.toCell(0, plot)));
    const auto last = static_cast<std::int64_t>(std::floor(axis.camera.toCell(plot - 1e-3, plot)));
    return {std::max<std::int64_t>(0, first), std::min(axis.cells - 1, last)};
}

ImU32 pack(const Colour& colour, float alpha = 1) {
    return ImGui::ColorConvertFloat4ToU32({colour.red, colour.green, colour.blue, alpha});
}

float luminance(const Colour& colour) {
    return 0.2126F * colour.red + 0.7152F * colour.green + 0.0722F * colour.blue;
}

/// Between a number and the edge of the plot or its cell: beside it a tick of the axis passes for a minus sign.
constexpr float kBeside = 4;

Colour colourOf(float value, const ValueScale& scale, const ColourMap& map) {
    if (std::isnan(value)) return kNanColour;
    if (std::isinf(value)) return value > 0 ? kPlusInfColour : kMinusInfColour;
    const float at = scale.position(value);
    return map.at(std::isnan(at) ? 0.0F : std::clamp(at, 0.0F, 1.0F));
}

}  // namespace

void MatrixPane::drawRows(ImDrawList& list, const PaneContent& content) const {
    const PaneAxis& axis = content.rows;
    const Fonts& fonts = m_host.fonts();
    const Theme& theme = m_host.theme();
    const double unit = axis.camera.pixelsPerCell;
    const Range range = visibleUnits(axis, m_size.y);
    const bool texts = axis.label && unit >= kLabelledUnit;
    const float right = m_corner.x - 6;
    const float height = lineHeight(fonts.tiny);
    const std::int64_t step = tickStep(unit, texts ? height + 2 : 44);
    const auto middle = [&](std::int64_t index) {
        return m_corner.y + static_cast<float>(axis.camera.toPixel(static_cast<double>(index) + 0.5, m_size.y));
    };
    const auto inside = [&](float y) { return y > m_corner.y && y < m_corner.y + m_size.y; };
    for (const std::int64_t tick : ticks(range.first, range.last, texts ? 1 : step)) {
        const float y = middle(tick);
        if (!inside(y) || tick == axis.cursor) continue;
        if (axis.cursor >= 0 && std::abs(y - middle(axis.cursor)) < height + 1) continue;
        const std::string text = texts ? axis.label(tick) : fmt::format("{}", tick);
        const float width = std::min(textWidth(fonts.tiny, text), kLeftGutter - 12);
        list.AddLine({m_corner.x - 4, y}, {m_corner.x - 1, y}, theme.faint);
        drawText(list, fonts.tiny, {right - width, y - height / 2}, texts ? theme.text : theme.muted, text,
                 kLeftGutter - 12);
    }
    if (axis.cursor >= range.first && axis.cursor <= range.last) {
        const float y = std::clamp(middle(axis.cursor), m_corner.y + height / 2, m_corner.y + m_size.y - height / 2);
        const std::string number = fmt::format("{}", axis.cursor);
        const std::string text = texts ? number + " " + axis.label(axis.cursor) : number;
        const float width = std::min(textWidth(fonts.tiny, text), kLeftGutter - 12);
        list.AddRectFilled({right - width - 4, y - height / 2 - 2}, {m_corner.x - 1, y + height / 2 + 2},
                           axis.pinned ? theme.accent : theme.text, 3);
        drawText(list, fonts.tiny, {right - width, y - height / 2}, theme.ground, text, kLeftGutter - 12);
    }
    // The axis's name, upright would need another font: it stands above the numbers.
    drawText(list, fonts.small, {m_corner.x - kLeftGutter + 12, m_corner.y + m_size.y + 20}, theme.faint,
             "↓ " + axis.name);
}

void MatrixPane::drawColumns(ImDrawList& list, const PaneContent& content) const {
    const PaneAxis& axis = content.columns;
    const Fonts& fonts = m_host.fonts();
    const Theme& theme = m_host.theme();
    const double unit = axis.camera.pixelsPerCell;
    const Range range = visibleUnits(axis, m_size.x);
    const bool texts = axis.label && unit >= kLabelledUnit;
    const float top = m_corner.y + m_size.y + 5;
    const std::int64_t step = texts ? 1 : tickStep(unit, 52);
    const auto middle = [&](std::int64_t index) {
        return m_corner.x + static_cast<float>(axis.camera.toPixel(static_cast<double>(index) + 0.5, m_size.x));
    };
    const auto textOf = [&](std::int64_t index) { return texts ? axis.label(index) : fmt::format("{}", index); };
    float cursorLeft = 1e9F, cursorRight = -1e9F;
    if (axis.cursor >= range.first && axis.cursor <= range.last) {
        const std::string number = fmt::format("{}", axis.cursor);
        const std::string text = texts ? number + " " + axis.label(axis.cursor) : number;
        const float width = textWidth(fonts.tiny, text);
        const float x = std::clamp(middle(axis.cursor), m_corner.x + width / 2, m_corner.x + m_size.x - width / 2);
        cursorLeft = x - width / 2 - 4;
        cursorRight = x + width / 2 + 4;
        list.AddRectFilled({cursorLeft, top - 3}, {cursorRight, top + lineHeight(fonts.tiny) + 1},
                           axis.pinned ? theme.accent : theme.text, 3);
        drawText(list, fonts.tiny, {x - width / 2, top - 1}, theme.ground, text);
    }
    for (const std::int64_t tick : ticks(range.first, range.last, step)) {
        const float x = middle(tick);
        if (x < m_corner.x + 2 || x > m_corner.x + m_size.x - 2) continue;
        const std::string text = textOf(tick);
        const float room = texts ? static_cast<float>(unit) - 2 : 60.0F;
        const float width = std::min(textWidth(fonts.tiny, text), room);
        if (x + width / 2 > cursorLeft - 5 && x - width / 2 < cursorRight + 5) continue;
        list.AddLine({x, top - 4}, {x, top - 2}, theme.faint);
        drawText(list, fonts.tiny, {x - width / 2, top - 1}, texts ? theme.text : theme.muted, text, room);
    }
    const std::string name = axis.name + " →";
    drawText(list, fonts.small, {m_corner.x + m_size.x - textWidth(fonts.small, name), m_corner.y + m_size.y + 20},
             theme.faint, name);
}

void MatrixPane::drawValues(ImDrawList& list, const PaneContent& content) const {
    const double width = content.columns.camera.pixelsPerCell * static_cast<double>(content.columns.block);
    const double height = content.rows.camera.pixelsPerCell * static_cast<double>(content.rows.block);
    if (width < kPrintedWidth || height < kPrintedHeight) return;
    const ImFont* font = m_host.fonts().tiny;
    const float high = lineHeight(font);
    const ColourMap& map = content.colours ? *content.colours : defaultColourMap(false);
    const ValueScale scale = content.scale.usable();
    const Range rows = visibleUnits(content.rows, m_size.y);
    const Range columns = visibleUnits(content.columns, m_size.x);
    const std::int64_t rowBlock = content.rows.block, columnBlock = content.columns.block;
    for (std::int64_t row = rows.first / rowBlock; row <= std::min(rows.last / rowBlock, m_matrix->rows - 1); ++row) {
        const double y =
            content.rows.camera.toPixel((static_cast<double>(row) + 0.5) * static_cast<double>(rowBlock), m_size.y);
        for (std::int64_t column = columns.first / columnBlock;
             column <= std::min(columns.last / columnBlock, m_matrix->cols - 1); ++column) {
            const double x = content.columns.camera.toPixel(
                (static_cast<double>(column) + 0.5) * static_cast<double>(columnBlock), m_size.x);
            const float value = m_matrix->at(row, column);
            const std::string text = numberText(value, width < 54 ? 2 : 3);
            const float wide = textWidth(font, text);
            const auto textX = placeInCell(x, width, wide + 2 * kBeside, m_size.x),
                       textY = placeInCell(y, height, high, m_size.y);
            if (!textX || !textY) continue;
            const bool light = luminance(colourOf(value, scale, map)) > 0.52F;
            list.AddText(font, lineHeight(font), {m_corner.x + *textX - wide / 2, m_corner.y + *textY - high / 2},
                         light ? IM_COL32(12, 14, 18, 235) : IM_COL32(245, 247, 250, 235), text.c_str());
        }
    }
}

void MatrixPane::drawCursor(ImDrawList& list, const PaneContent& content) const {
    const Theme& theme = m_host.theme();
    const auto pictureEnds = [](const PaneAxis& axis, float corner, float plot) {
        const auto low = corner + static_cast<float>(axis.camera.toPixel(0, plot));
        const auto high = corner + static_cast<float>(axis.camera.toPixel(static_cast<double>(axis.cells), plot));
        return ImVec2{std::max(corner, low), std::min(corner + plot, high)};
    };
    const ImVec2 across = pictureEnds(content.columns, m_corner.x, m_size.x);
    const ImVec2 down = pictureEnds(content.rows, m_corner.y, m_size.y);
    // A white hairline with a dark one on each side is seen on every colour of every map.
    const auto line = [&](ImVec2 from, ImVec2 to, bool horizontal) {
        const ImVec2 side = horizontal ? ImVec2{0, 1} : ImVec2{1, 0};
        list.AddLine({from.x + side.x, from.y + side.y}, {to.x + side.x, to.y + side.y}, theme.cursorShade);
        list.AddLine(from, to, theme.cursor);
    };
    const auto edges = [](const PaneAxis& axis, double plot, float corner) {
        const auto low = static_cast<double>(axis.cursor / axis.block * axis.block);
        return ImVec2{corner + static_cast<float>(axis.camera.toPixel(low, plot)),
                      corner + static_cast<float>(axis.camera.toPixel(low + static_cast<double>(axis.block), plot))};
    };
    const bool hasRow = content.rows.cursor >= 0, hasColumn = content.columns.cursor >= 0;
    ImVec2 row{}, column{};
    if (hasRow) row = edges(content.rows, m_size.y, m_corner.y);
    if (hasColumn) column = edges(content.columns, m_size.x, m_corner.x);
    const bool wideRow = row.y - row.x >= 5, wideColumn = column.y - column.x >= 5;
    const float gap = 5;
    if (hasRow) {
        const auto rowLine = [&](float y) {
            y = std::floor(y) + 0.5F;
            if (!hasColumn) return line({across.x, y}, {across.y, y}, true);
            line({across.x, y}, {std::max(across.x, column.x - gap), y}, true);
            line({std::min(across.y, column.y + gap), y}, {across.y, y}, true);
        };
        if (wideRow) rowLine(row.y);
        rowLine(wideRow ? row.x : (row.x + row.y) / 2);
    }
    if (hasColumn) {
        const auto columnLine = [&](float x) {
            x = std::floor(x) + 0.5F;
            if (!hasRow) return line({x, down.x}, {x, down.y}, false);
            line({x, down.x}, {x, std::max(down.x, row.x - gap)}, false);
            line({x, std::min(down.y, row.y + gap)}, {x, down.y}, false);
        };
        if (wideColumn) columnLine(column.y);
        columnLine(wideColumn ? column.x : (column.x + column.y) / 2);
    }
    if (hasRow && hasColumn) {
        list.AddRect({column.x - 2, row.x - 2}, {column.y + 2, row.y + 2}, theme.cursorShade, 1, 0, 3);
        list.AddRect({column.x - 2, row.x - 2}, {column.y + 2, row.y + 2}, theme.cursor, 1, 0, 1);
    }
}

void MatrixPane::drawOverview(ImDrawList& list, const PaneContent& content) const {
    constexpr float kSide = 46, kMargin = 8, kSmallest = 4;
    constexpr double kNearlyAll = 0.95;
    if (m_size.x < 3 * kSide || m_size.y < 3 * kSide) return;
    // Begin and end of what is seen, as shares of the axis.
    const auto seen = [](const PaneAxis& axis, double plot) {
        const auto cells = static_cast<double>(axis.cells);
        return std::pair(std::clamp(axis.camera.toCell(0, plot) / cells, 0.0, 1.0),
                         std::clamp(axis.camera.toCell(plot, plot) / cells, 0.0, 1.0));
    };
    const auto [left, right] = seen(content.columns, m_size.x);
    const auto [top, bottom] = seen(content.rows, m_size.y);
    if (right - left > kNearlyAll && bottom - top > kNearlyAll) return;
    const ImVec2 end{m_corner.x + m_size.x - kMargin, m_corner.y + m_size.y - kMargin};
    const ImVec2 corner{end.x - kSide, end.y - kSide};
    const auto part = [&](double low, double high, float from) {
        const float begin = from + static_cast<float>(low) * kSide;
        const float length = std::max(kSmallest, static_cast<float>(high - low) * kSide);
        return ImVec2{std::min(begin, from + kSide - length), std::min(begin, from + kSide - length) + length};
    };
    const ImVec2 x = part(left, right, corner.x), y = part(top, bottom, corner.y);
    const Theme& theme = m_host.theme();
    list.AddRectFilled(corner, end, theme.cursorShade, 3);
    list.AddRect(corner, end, theme.faint, 3);
    list.AddRectFilled({x.x, y.x}, {x.y, y.y}, theme.cursor, 1);
}

void MatrixPane::drawColourBar(ImDrawList& list, const PaneContent& content) const {
    const Fonts& fonts = m_host.fonts();
    const Theme& theme = m_host.theme();
    const ColourMap& map = content.colours ? *content.colours : defaultColourMap(false);
    // The bar's box; `length` runs along it, from its low end.
    const ImVec2 low = m_barBelow ? ImVec2{m_corner.x, m_corner.y + m_size.y + kBottomGutter}
                                  : ImVec2{m_corner.x + m_size.x + kBarGap, m_corner.y};
    const ImVec2 high = m_barBelow ? ImVec2{m_corner.x + m_size.x, low.y + kBarWidth}
                                   : ImVec2{low.x + kBarWidth, m_corner.y + m_size.y};
    const float length = m_barBelow ? m_size.x : m_size.y;
    const auto along = [&](float at) { return m_barBelow ? low.x + length * at : high.y - length * at; };
    constexpr int kSteps = 48;
    for (int index = 0; index < kSteps; ++index) {
        const float from = static_cast<float>(index) / kSteps, to = static_cast<float>(index + 1) / kSteps;
        const ImU32 first = pack(map.at(from)), last = pack(map.at(to));
        if (m_barBelow)
            list.AddRectFilledMultiColor({along(from), low.y}, {along(to), high.y}, first, last, last, first);
        else
            list.AddRectFilledMultiColor({low.x, along(to)}, {high.x, along(from)}, last, last, first, first);
    }
    list.AddRect({low.x - 1, low.y - 1}, {high.x + 1, high.y + 1}, theme.cardLine);
    const ValueScale scale = content.scale.usable();
    const int wanted = std::clamp(static_cast<int>(length / 48), 2, 9);
    const float height = lineHeight(fonts.tiny);
    float taken = m_barBelow ? -1e9F : 1e9F;  // up to where texts stand already
    for (const double tick : scaleTicks(scale, wanted)) {
        const float at = scale.position(static_cast<float>(tick));
        if (!(at >= -0.001F && at <= 1.001F)) continue;
        const float place = along(at);
        const std::string text = tickText(tick);
        if (m_barBelow) {
            const float width = textWidth(fonts.tiny, text);
            const float left = std::clamp(place - width / 2, low.x, high.x - width);
            if (left < taken + 6) continue;
            taken = left + width;
            list.AddLine({place, high.y + 1}, {place, high.y + 3}, theme.faint);
            drawText(list, fonts.tiny, {left, high.y + 4}, theme.muted, text);
        } else {
            if (taken - place < height + 2) continue;
            taken = place;
            list.AddLine({high.x + 1, place}, {high.x + 4, place}, theme.faint);
            drawText(list, fonts.tiny, {high.x + 7, place - height / 2}, theme.muted, text,
                     kRightGutter - kBarGap - kBarWidth - 8);
        }
    }
    // Where the value under the cursor lies.
    const std::int64_t row = content.rows.cursor, column = content.columns.cursor;
    if (row < 0 || column < 0) return;
    const std::int64_t r = row / content.rows.block, c = column / content.columns.block;
    if (r >= m_matrix->rows || c >= m_matrix->cols) return;
    const float value = m_matrix->at(r, c);
    if (!std::isfinite(value)) return;
    const float at = scale.position(value);
    const float place = along(std::clamp(std::isnan(at) ? 0.0F : at, 0.0F, 1.0F));
    if (m_barBelow)
        list.AddTriangleFilled({place - 4, low.y - 6}, {place, low.y - 1}, {place + 4, low.y - 6}, theme.text);
    else
        list.AddTriangleFilled({low.x - 6, place - 4}, {low.x - 6, place + 4}, {low.x - 1, place}, theme.text);
}

}  // namespace linscope::viz
