#include "viz/canvas/projection_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "viz/canvas/axis_ticks.h"
#include "viz/canvas/controls.h"
#include "viz/canvas/maps_page.h"
#include "viz/canvas/probe.h"
#include "viz/canvas/range_histogram.h"

namespace linscope::viz {

namespace {
constexpr float kGap = 10;
constexpr double kLargestCell = 120;
}  // namespace

ProjectionPage::ProjectionPage(HeatmapRenderer& renderer, const ImGuiHost& host, Backdrop& backdrop, CanvasModel& model)
    : m_host(host), m_model(model) {
    for (auto& pane : m_panes) pane = std::make_unique<MatrixPane>(renderer, host, backdrop);
}

void ProjectionPage::recordInto(VkCommandBuffer commands) {
    for (const auto& pane : m_panes) pane->recordInto(commands);
}

void ProjectionPage::take() {
    const auto snapshot = m_model.snapshot();
    const HeadChoice& choice = m_model.choice();
    m_absent.clear();
    if (!snapshot)
        m_absent = m_model.absence(MapKind::Exact);
    else if (!snapshot->projection("E", choice.layer, choice.head))
        m_absent = fmt::format("The mechanism \"{}\" has no projection of the sequence.", snapshot->mechanism);
    const auto set = m_absent.empty() ? m_model.projections() : nullptr;
    if (m_absent.empty()) m_absent = set ? set->problem : "Computing…";
    if (set == m_set) return;
    m_set = set;
    m_count = set ? static_cast<int>(std::min(set->projections.size(), m_panes.size())) : 0;
    m_place.clear();
    std::vector<const ValueStatistics*> statistics;
    for (int index = 0; index < static_cast<int>(m_panes.size()); ++index) {
        MatrixPane& pane = *m_panes[static_cast<std::size_t>(index)];
        if (index >= m_count) {
            pane.clear();
            continue;
        }
        pane.setMatrix(picture(index).matrix, Pooling::AbsMax, picture(index).cells);
        m_place = picture(index).cells ? "written by CUDA where it is drawn" : "drawn from the processor's memory";
        statistics.push_back(&picture(index).statistics);
    }
    if (m_count == 0) return;
    m_model.colouring().setStatistics(RangeOf::Projections, statistics);
    const Matrix& first = *picture(0).matrix;
    if (m_slotCount != first.rows || m_tokenCount != first.cols) m_fitted = true;
    m_slotCount = first.rows;
    m_tokenCount = first.cols;
}

void ProjectionPage::fitView(ImVec2 plot) {
    m_slots.fit(static_cast<double>(m_slotCount), plot.y);
    m_tokens.fit(static_cast<double>(m_tokenCount), plot.x);
}

void ProjectionPage::clampView() {
    const auto clamp = [](CameraAxis& axis, double cells, double pane) {
        axis.pixelsPerCell = std::clamp(axis.pixelsPerCell, pane / cells, std::max(pane / cells, kLargestCell));
        const double half = pane / axis.pixelsPerCell / 2;
        axis.centre = half * 2 >= cells ? cells / 2 : std::clamp(axis.centre, half, cells - half);
    };
    clamp(m_slots, static_cast<double>(m_slotCount), m_plot.y);
    clamp(m_tokens, static_cast<double>(m_tokenCount), m_plot.x);
}

void ProjectionPage::zoom(double factor) {
    m_fitted = false;
    m_slots.zoom(factor, m_plot.y / 2, m_plot.y);
    m_tokens.zoom(factor, m_plot.x / 2, m_plot.x);
    clampView();
}

PaneContent ProjectionPage::content(int index) const {
    PaneContent content;
    if (index >= m_count) {
        content.title = "E";
        content.absent = m_absent;
        return content;
    }
    const ProjectionPicture& shown = picture(index);
    content.title = shown.label;
    content.subtitle = fmt::format("[{}×{}]", shown.matrix->rows, shown.matrix->cols);
    content.note = clippingNote(shown.statistics.values, m_model.colouring().scale(RangeOf::Projections));
    if (m_tokens.pixelsPerCell * m_host.scale() < 1)
        content.note += content.note.empty() ? "abs-max/pixel" : " · abs-max/pixel";
    content.rows = {.camera = m_slots,
                    .cells = m_slotCount,
                    .block = 1,
                    .name = "slot",
                    .cursor = m_slot,
                    .pinned = m_pinned,
                    .label = {}};
    content.columns = {.camera = m_tokens,
                       .cells = m_tokenCount,
                       .block = 1,
                       .name = "position",
                       .cursor = m_token,
                       .pinned = m_pinned,
                       .label = {}};
    content.scale = m_model.colouring().scale(RangeOf::Projections);
    content.colours = &m_model.colouring().colours(RangeOf::Projections);
    return content;
}

void ProjectionPage::apply(const PaneInput& input) {
    if (input.wheel != 0) {
        const double factor = std::pow(kWheelZoom, input.wheel);
        m_fitted = false;
        m_slots.zoom(factor, input.y, m_plot.y);
        m_tokens.zoom(factor, input.x, m_plot.x);
        clampView();
    }
    if (input.dragX != 0 || input.dragY != 0) {
        m_fitted = false;
        m_slots.pan(input.dragY);
        m_tokens.pan(input.dragX);
        clampView();
    }
    if (input.doubleClicked) {
        m_fitted = true;
        m_pinned = false;
    }
    if (!input.hovered) return;
    const auto at = [](const CameraAxis& axis, double pixel, double pane, std::int64_t cells) {
        const double cell = std::floor(axis.toCell(pixel, pane));
        return cell < 0 || cell >= static_cast<double>(cells) ? -1 : static_cast<std::int64_t>(cell);
    };
    if (input.clicked) m_pinned = !m_pinned;
    if (m_pinned && !input.clicked) return;
    m_slot = at(m_slots, input.y, m_plot.y, m_slotCount);
    m_token = at(m_tokens, input.x, m_plot.x, m_tokenCount);
}

void ProjectionPage::draw(ImVec2 corner, ImVec2 size) {
    take();
    const int cards = std::max(1, m_count);
    const ImVec2 card{size.x, std::floor((size.y - kGap * static_cast<float>(cards - 1)) / static_cast<float>(cards))};
    const ImVec2 plot = MatrixPane::plotSize(card);
    const bool resized = plot.x != m_plot.x || plot.y != m_plot.y;
    m_plot = plot;
    if (m_fitted)
        fitView(plot);
    else if (resized)
        clampView();
    bool anyHovered = false;
    for (int index = 0; index < cards; ++index) {
        const ImVec2 position{corner.x, corner.y + static_cast<float>(index) * (card.y + kGap)};
        const PaneInput input = m_panes[static_cast<std::size_t>(index)]->draw(index == 0 ? "first" : "second",
                                                                               position, card, content(index));
        apply(input);
        anyHovered = anyHovered || input.hovered;
    }
    if (!anyHovered && !m_pinned) m_slot = m_token = -1;
}

void ProjectionPage::drawTools(float width) {
    if (m_count == 0) return;
    sectionTitle(m_host, "Range of E and F",
                 "Weights are signed: the range is symmetric about 0 and shared by E and F. Drag a handle; a right "
                 "click fits it again. Heights of the histogram are logarithmic.");
    std::vector<HistogramLayer> layers;
    for (int index = 0; index < m_count; ++index)
        layers.push_back({.statistics = &picture(index).statistics, .filled = index == 0});
    rangeHistogram(m_host, "projections", RangeOf::Projections, m_model.colouring(), layers, {width, 78});
    sectionTitle(m_host, "Under the cursor",
                 "Row i of E says which positions of the sequence feed slot i, and with which weight. Positions, not "
                 "words: E is the same for every text.");
    ProbeTable table(m_host, width);
    table.row("slot", m_slot >= 0 ? fmt::format("{}", m_slot) : "–");
    table.row("position", m_token >= 0 ? fmt::format("{}", m_token) : "–");
    for (int index = 0; index < m_count; ++index) {
        const ProjectionPicture& shown = picture(index);
        const bool inside = m_slot >= 0 && m_slot < shown.matrix->rows && m_token >= 0 && m_token < shown.matrix->cols;
        table.row(shown.label, inside ? numberText(shown.matrix->at(m_slot, m_token), 4) : "–");
    }
    if (m_slot < 0 || m_slot >= picture(0).matrix->rows) return;
    for (int index = 0; index < m_count; ++index) {
        const Matrix& matrix = *picture(index).matrix;
        double norm = 0;
        for (std::int64_t column = 0; column < matrix.cols; ++column)
            norm += static_cast<double>(matrix.at(m_slot, column)) * matrix.at(m_slot, column);
        table.row(fmt::format("‖row‖ of {}", picture(index).label), numberText(std::sqrt(norm), 4));
    }
}

}  // namespace linscope::viz
