#include "viz/canvas/linked_view.h"

#include <algorithm>

namespace linscope::viz {

namespace {

/// A cell of this many pixels shows its value with four digits.
constexpr double kLargestCell = 120;

void reveal(CameraAxis& axis, std::int64_t cell, double pane) {
    const double low = axis.toPixel(static_cast<double>(cell), pane);
    const double high = axis.toPixel(static_cast<double>(cell + 1), pane);
    if (low < 0) axis.pan(-low);
    if (high > pane) axis.pan(pane - high);
}

/// A picture larger than the pane leaves no more than half of it empty, a smaller one stays inside.
void keepInSight(CameraAxis& axis, double cells, double pane) {
    const double shown = pane / axis.pixelsPerCell;
    const double slack = std::max(0.0, (shown - cells) / 2);
    const bool smaller = cells <= shown;
    axis.centre = std::clamp(axis.centre, smaller ? cells / 2 - slack : 0.0, smaller ? cells / 2 + slack : cells);
}

}  // namespace

void LinkedView::setCells(std::int64_t tokens, std::int64_t slots) {
    tokens = std::max<std::int64_t>(1, tokens);
    if (tokens == m_tokens && slots == m_slots) return;
    const bool sameTokens = tokens == m_tokens;
    m_tokens = tokens;
    m_slots = slots;
    if (!sameTokens || m_fitted) {
        fit();
    } else {
        m_slot.centre = static_cast<double>(m_slots) / 2;
        setSlotScale(0);
        clamp();
    }
}

void LinkedView::setPane(double width, double height) {
    if (width == m_width && height == m_height) return;
    const double slotMagnification = m_slot.pixelsPerCell / fittedSlotScale();
    m_width = std::max(1.0, width);
    m_height = std::max(1.0, height);
    if (m_fitted) return fit();
    setScale(m_query.pixelsPerCell);
    setSlotScale(fittedSlotScale() * slotMagnification);
    clamp();
}

double LinkedView::fittedScale() const {
    return std::min(kLargestCell, std::min(m_width, m_height) / static_cast<double>(m_tokens));
}

// Slots are stretched so that all maps fill the same square when fitted.
double LinkedView::fittedSlotScale() const {
    return fittedScale() * static_cast<double>(m_tokens) / static_cast<double>(std::max<std::int64_t>(1, m_slots));
}

void LinkedView::fit() {
    m_query.centre = m_key.centre = static_cast<double>(m_tokens) / 2;
    m_slot.centre = static_cast<double>(m_slots) / 2;
    setScale(fittedScale());
    setSlotScale(0);
    clamp();
    m_fitted = true;
}

void LinkedView::setScale(double pixelsPerToken) {
    const double smallest = fittedScale();
    m_query.pixelsPerCell = std::clamp(pixelsPerToken, smallest, std::max(smallest, kLargestCell));
    m_key.pixelsPerCell = m_query.pixelsPerCell;
}

void LinkedView::setSlotScale(double pixelsPerSlot) {
    const double smallest = fittedSlotScale();
    m_slot.pixelsPerCell = std::clamp(pixelsPerSlot, smallest, std::max(smallest, kLargestCell));
}

void LinkedView::clamp() {
    keepInSight(m_query, static_cast<double>(m_tokens), m_height);
    keepInSight(m_key, static_cast<double>(m_tokens), m_width);
    keepInSight(m_slot, static_cast<double>(std::max<std::int64_t>(1, m_slots)), m_width);
}

void LinkedView::zoom(ColumnAxis columns, double factor, double x, double y) {
    CameraAxis& across = columns == ColumnAxis::Keys ? m_key : m_slot;
    const double row = m_query.toCell(y, m_height);
    const double column = across.toCell(x, m_width);
    const double before = m_query.pixelsPerCell, slotBefore = m_slot.pixelsPerCell;
    setScale(before * factor);
    if (columns == ColumnAxis::Slots) setSlotScale(slotBefore * factor);
    if (m_query.pixelsPerCell == before && m_slot.pixelsPerCell == slotBefore) return;
    m_fitted = m_query.pixelsPerCell <= fittedScale() && m_slot.pixelsPerCell <= fittedSlotScale();
    if (m_fitted) return fit();
    m_query.centre = row - (y - m_height / 2) / m_query.pixelsPerCell;
    across.centre = column - (x - m_width / 2) / across.pixelsPerCell;
    clamp();
}

void LinkedView::pan(ColumnAxis columns, double dx, double dy) {
    if (dx == 0 && dy == 0) return;
    m_query.pan(dy);
    (columns == ColumnAxis::Keys ? m_key : m_slot).pan(dx);
    m_fitted = false;
    clamp();
}

void LinkedView::reveal(ColumnAxis columns, std::int64_t row, std::int64_t column) {
    if (row >= 0) viz::reveal(m_query, row, m_height);
    if (column >= 0) viz::reveal(columns == ColumnAxis::Keys ? m_key : m_slot, column, m_width);
}

LinkedView::Place LinkedView::place() const {
    const auto tokens = static_cast<double>(m_tokens);
    return {.row = m_query.centre / tokens,
            .column = m_key.centre / tokens,
            .slot = m_slots > 0 ? m_slot.centre / static_cast<double>(m_slots) : 0.5,
            .magnification = m_query.pixelsPerCell / fittedScale(),
            .slotMagnification = m_slot.pixelsPerCell / fittedSlotScale(),
            .fitted = m_fitted};
}

void LinkedView::setPlace(const Place& place) {
    if (place.fitted) return fit();
    m_fitted = false;
    m_query.centre = place.row * static_cast<double>(m_tokens);
    m_key.centre = place.column * static_cast<double>(m_tokens);
    m_slot.centre = place.slot * static_cast<double>(m_slots);
    setScale(fittedScale() * place.magnification);
    setSlotScale(fittedSlotScale() * place.slotMagnification);
    clamp();
}

}  // namespace linscope::viz
