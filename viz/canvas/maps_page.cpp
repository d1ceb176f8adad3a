#include "viz/canvas/maps_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace linscope::viz {

namespace {

constexpr float kGap = 10;

constexpr std::array<const char*, kMapCount> kTitles{"exact P", "compressed P\u0304", "lifted L", "difference L − P"};
constexpr std::array<RangeOf, kMapCount> kRanges{RangeOf::Exact, RangeOf::Compressed, RangeOf::Lifted,
                                                 RangeOf::Difference};

}  // namespace

MapsPage::MapsPage(HeatmapRenderer& renderer, const ImGuiHost& host, Backdrop& backdrop, CanvasModel& model)
    : m_host(host), m_model(model) {
    for (auto& pane : m_panes) pane = std::make_unique<MatrixPane>(renderer, host, backdrop);
}

void MapsPage::recordInto(VkCommandBuffer commands) {
    for (auto& pane : m_panes) pane->recordInto(commands);
}

void MapsPage::takeMaps() {
    if (m_revision == m_model.revision()) return;
    m_revision = m_model.revision();
    const auto set = m_model.maps();
    for (int index = 0; index < kMapCount; ++index) {
        if (!set || !set->maps[index]) {
            m_panes[index]->clear();
            continue;
        }
        const AttentionMap& map = *set->maps[index];
        // The second answer of one step (its fidelity) brings copies of the same maps.
        if (m_panes[index]->matrix() == &map.matrix) continue;
        m_panes[index]->setMatrix(std::shared_ptr<const Matrix>(set, &map.matrix),
                                  map.isSigned ? Pooling::AbsMax : Pooling::Max, set->cells[index]);
    }
}

std::string MapsPage::clippedNote(int index) const {
    const auto set = m_model.maps();
    if (!set || !set->maps[index]) return {};
    const AttentionMap& map = *set->maps[index];
    const Histogram& values = set->statistics[index].values;
    const ValueScale scale = m_model.colouring().scale(kRanges[index]);
    std::vector<std::string> notes;
    if (values.hasLoudCells())
        notes.push_back(fmt::format("{} NaN, {} Inf", values.nan, values.plusInf + values.minusInf));
    if (std::string clipped = clippingNote(values, scale); !clipped.empty()) notes.push_back(std::move(clipped));
    const double pixels = m_model.view().rows().pixelsPerCell * m_host.scale();
    if (map.rowBlock > 1 || map.colBlock > 1)
        notes.push_back(fmt::format("{} of {}×{} tokens", map.pooling, map.rowBlock, map.colBlock));
    else if (pixels < 1)
        notes.push_back(fmt::format("{}/pixel", poolingName(m_panes[index]->pooling())));
    return fmt::format("{}", fmt::join(notes, " · "));
}

PaneContent MapsPage::content(int index) const {
    PaneContent content;
    content.title = kTitles[index];
    content.absent = m_model.absence(kMapKinds[index]);
    const auto set = m_model.maps();
    if (!content.absent.empty() || !set || !set->maps[index]) {
        if (content.absent.empty()) content.absent = "Computing…";
        return content;
    }
    const AttentionMap& map = *set->maps[index];
    // Without slots there is nothing to lift: the map is what the mechanism makes of unit values.
    if (kMapKinds[index] == MapKind::Lifted)
        content.title = hasMap(*set->snapshot, MapKind::Compressed) ? "lifted L = P\u0304F" : "implied map L";
    const LinkedView& view = m_model.view();
    const CanvasCursor& cursor = m_model.cursor;
    content.subtitle = fmt::format("[{}×{}]", map.matrix.rows * map.rowBlock, map.matrix.cols * map.colBlock);
    content.note = clippedNote(index);
    const auto label = [&model = m_model](std::int64_t position) { return model.tokenAt(position); };
    content.rows = {.camera = view.rows(),
                    .cells = view.tokens(),
                    .block = map.rowBlock,
                    .name = "query",
                    .cursor = cursor.row,
                    .pinned = cursor.pinned,
                    .label = label};
    const bool keys = kColumns[index] == ColumnAxis::Keys;
    content.columns = {.camera = view.columns(kColumns[index]),
                       .cells = keys ? view.tokens() : view.slots(),
                       .block = map.colBlock,
                       .name = keys ? "key token" : "slot",
                       .cursor = keys ? cursor.key : cursor.slot,
                       .pinned = cursor.pinned,
                       .label = {}};
    if (keys) content.columns.label = label;
    content.scale = m_model.colouring().scale(kRanges[index]);
    content.colours = &m_model.colouring().colours(kRanges[index]);
    return content;
}

void MapsPage::apply(int index, const PaneInput& input) {
    LinkedView& view = m_model.view();
    CanvasCursor& cursor = m_model.cursor;
    const ColumnAxis columns = kColumns[index];
    if (input.wheel != 0) view.zoom(columns, std::pow(kWheelZoom, input.wheel), input.x, input.y);
    if (input.dragX != 0 || input.dragY != 0) view.pan(columns, input.dragX, input.dragY);
    if (input.doubleClicked) {
        view.fit();
        cursor.pinned = false;
    }
    if (!input.hovered) return;
    const auto at = [](const CameraAxis& axis, double pixel, double pane, std::int64_t cells) {
        const double cell = std::floor(axis.toCell(pixel, pane));
        return cell < 0 || cell >= static_cast<double>(cells) ? -1 : static_cast<std::int64_t>(cell);
    };
    const bool keys = columns == ColumnAxis::Keys;
    const std::int64_t row = at(view.rows(), input.y, view.height(), view.tokens());
    const std::int64_t column = at(view.columns(columns), input.x, view.width(), keys ? view.tokens() : view.slots());
    const bool inside = row >= 0 && column >= 0;
    if (input.clicked) cursor.pinned = inside && !cursor.pinned;
    if (cursor.pinned && !input.clicked) return;
    cursor.row = inside ? row : -1;
    cursor.key = inside && keys ? column : -1;
    cursor.slot = inside && !keys ? column : -1;
}

void MapsPage::draw(ImVec2 corner, ImVec2 size) {
    takeMaps();
    const ImVec2 card{std::floor((size.x - kGap) / 2), std::floor((size.y - kGap) / 2)};
    const ImVec2 plot = MatrixPane::plotSize(card);
    m_model.view().setPane(plot.x, plot.y);
    bool anyHovered = false;
    for (int index = 0; index < kMapCount; ++index) {
        const ImVec2 position{corner.x + static_cast<float>(index % 2) * (card.x + kGap),
                              corner.y + static_cast<float>(index / 2) * (card.y + kGap)};
        const PaneInput input = m_panes[index]->draw(kTitles[index], position, card, content(index));
        apply(index, input);
        anyHovered = anyHovered || input.hovered;
    }
    if (!anyHovered && !m_model.cursor.pinned) m_model.cursor = {};
}

}  // namespace linscope::viz
