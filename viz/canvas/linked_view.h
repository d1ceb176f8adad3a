#pragma once

#include <cstdint>

#include "viz/heatmap/camera.h"

namespace linscope::viz {

/// What the columns of a pane are.
enum class ColumnAxis {
    Keys,   ///< tokens, shared by the exact, the lifted and the difference map
    Slots,  ///< Linformer's k, an axis of its own
};

/// Where all four panes look: one axis of query tokens for every pane, one of key tokens for the
/// token × token maps, one of slots for the compressed map. Panes have equal sizes, in logical pixels.
/// Token cells stay square. Slots have a magnification of their own, since a slot is no place in the sequence: what a
/// person magnifies in a token × token map is met in the compressed map by its rows, with all its slots in sight.
class LinkedView {
public:
    /// Tokens and slots of what is shown; another number fits the view anew. Slots may be 0.
    void setCells(std::int64_t tokens, std::int64_t slots);
    /// Pane size in pixels; a view that nobody has moved is fitted again.
    void setPane(double width, double height);

    void fit();
    bool fitted() const { return m_fitted; }
    /// Zooms about a point of a pane with the given columns. Keys follow the magnification of the queries, also where
    /// the pane has none, and keep their middle then; slots are magnified in their own pane alone.
    void zoom(ColumnAxis columns, double factor, double x, double y);
    void pan(ColumnAxis columns, double dx, double dy);
    /// Moves as little as is needed to have the row (and the column, if not negative) in sight.
    void reveal(ColumnAxis columns, std::int64_t row, std::int64_t column);

    const CameraAxis& rows() const { return m_query; }
    const CameraAxis& columns(ColumnAxis axis) const { return axis == ColumnAxis::Keys ? m_key : m_slot; }
    std::int64_t tokens() const { return m_tokens; }
    std::int64_t slots() const { return m_slots; }
    double width() const { return m_width; }
    double height() const { return m_height; }

    /// For sessions: the middle, as shares of the axes, and the magnification over the fitted one.
    struct Place {
        double row = 0.5, column = 0.5, slot = 0.5, magnification = 1, slotMagnification = 1;
        bool fitted = true;
    };
    Place place() const;
    void setPlace(const Place& place);

private:
    double fittedScale() const;
    double fittedSlotScale() const;
    void setScale(double pixelsPerToken);
    void setSlotScale(double pixelsPerSlot);
    void clamp();

    std::int64_t m_tokens = 1, m_slots = 0;
    double m_width = 1, m_height = 1;
    bool m_fitted = true;
    CameraAxis m_query, m_key, m_slot;
};

}  // namespace linscope::viz
