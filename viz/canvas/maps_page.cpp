#include "viz/canvas/maps_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "viz/canvas/axis_ticks.h"

namespace linscope::viz {

namespace {

constexpr float kGap = 10;

constexpr std::array<const char*, kMapCount> kTitles{"exact P", "compressed P\u0304", "lifted L", "difference L − P"};
constexpr std::array<RangeOf, kMapCount> kRanges{RangeOf::Exact, RangeOf::Compressed, RangeOf::Lifted,
                                                 RangeOf::Difference};

/// Without slots there is nothing to lift: the map is what the mechanism makes of unit values.
bool isLifted(const Snapshot& snapshot) {
    return hasMap(snapshot, MapKind::Compressed);
}

ImVec2 cardOf(int count, int columns, ImVec2 size, float gap) {
    const int rows = (count + columns - 1) / columns;
    return {std::floor((size.x - gap * static_cast<float>(columns - 1)) / static_cast<float>(columns)),
            std::floor((size.y - gap * static_cast<float>(rows - 1)) / static_cast<float>(rows))};
}

}  // namespace

int gridColumns(int count, ImVec2 size, float gap, bool captioned) {
    const auto side = [&](int columns) {
        const ImVec2 plot = MatrixPane::plotSize(cardOf(count, columns, size, gap), captioned);
        return std::min(plot.x, plot.y);
    };
    int best = 1;
    for (int columns = 2; columns <= count; ++columns)
        if (side(columns) > side(best)) best = columns;
    return best;
}

MapsPage::MapsPage(HeatmapRenderer& renderer, const ImGuiHost& host, Backdrop& backdrop, CanvasModel& model)
    : m_renderer(renderer), m_host(host), m_backdrop(backdrop), m_model(model) {}

void MapsPage::recordInto(VkCommandBuffer commands) {
    for (auto& pane : m_panes) pane->recordInto(commands);
}

std::vector<MapsPage::Shown> MapsPage::shown() const {
    if (m_model.page() == CanvasPage::Lanes) return shownLanes();
    const auto set = m_model.maps();
    std::vector<Shown> all;
    for (int index = 0; index < kMapCount; ++index) {
        all.push_back({.mark = {},
                       .title = kTitles[index],
                       .set = set,
                       .index = index,
                       .range = kRanges[index],
                       .absent = m_model.absence(kMapKinds[index])});
        if (kMapKinds[index] == MapKind::Lifted && all.back().map())
            all.back().title = isLifted(*set->snapshot) ? "lifted L = P\u0304F" : "implied map L";
    }
    return all;
}

std::vector<MapsPage::Shown> MapsPage::shownLanes() const {
    std::vector<Shown> all;
    std::int64_t newest = 0;
    for (int lane = 0; lane < static_cast<int>(m_model.lanes().size()); ++lane) {
        Shown one{.mark = m_model.colourOf(lane),
                  .title = m_model.lanes()[static_cast<std::size_t>(lane)],
                  .set = m_model.own(lane),
                  .absent = m_model.ownAbsence(lane)};
        if (one.set) {
            const Snapshot& snapshot = *one.set->snapshot;
            one.index = std::max(0, one.set->ownIndex());
            one.title += ownMap(snapshot) == MapKind::Exact ? " · exact P"
                         : isLifted(snapshot)               ? " · lifted L"
                                                            : " · implied L";
            if (const AttentionMap* map = one.map()) one.range = m_model.colouring().rangeOfLane(lane, map->isSigned);
            newest = std::max(newest, snapshot.step);
        }
        all.push_back(std::move(one));
    }
    if (all.empty())
        all.push_back({.mark = {}, .title = "lanes", .set = {}, .absent = m_model.absence(MapKind::Exact)});
    for (Shown& one : all) one.behind = one.set && one.set->snapshot->step != newest;
    return all;
}

bool MapsPage::rangesDiffer(const std::vector<Shown>& all) const {
    std::optional<ValueScale> first;
    for (const Shown& one : all) {
        if (!one.map()) continue;
        const ValueScale scale = m_model.colouring().scale(one.range);
        if (first && (first->lo != scale.lo || first->hi != scale.hi)) return true;
        first = scale;
    }
    return false;
}

MatrixPane& MapsPage::pane(std::size_t index) {
    while (m_panes.size() <= index) m_panes.push_back(std::make_unique<MatrixPane>(m_renderer, m_host, m_backdrop));
    return *m_panes[index];
}

void MapsPage::put(const Shown& shown, MatrixPane& pane) {
    const AttentionMap* map = shown.map();
    if (!map) return pane.clear();
    // The second answer of one step (its fidelity) brings copies of the same maps.
    if (pane.matrix() == &map->matrix) return;
    pane.setMatrix(std::shared_ptr<const Matrix>(shown.set, &map->matrix),
                   map->isSigned ? Pooling::AbsMax : Pooling::Max,
                   shown.set->cells[static_cast<std::size_t>(shown.index)]);
}

std::string MapsPage::note(const Shown& shown, Pooling pooling) const {
    const AttentionMap& map = *shown.map();
    const Histogram& values = shown.set->statistics[static_cast<std::size_t>(shown.index)].values;
    std::vector<std::string> notes;
    if (shown.behind) notes.push_back(fmt::format("step {}", shown.set->snapshot->step));
    if (values.hasLoudCells())
        notes.push_back(fmt::format("{} NaN, {} Inf", values.nan, values.plusInf + values.minusInf));
    if (std::string clipped = clippingNote(values, m_model.colouring().scale(shown.range)); !clipped.empty())
        notes.push_back(std::move(clipped));
    const double pixels = m_model.view().rows().pixelsPerCell * m_host.scale();
    if (map.rowBlock > 1 || map.colBlock > 1)
        notes.push_back(fmt::format("{} of {}×{} tokens", map.pooling, map.rowBlock, map.colBlock));
    else if (pixels < 1)
        notes.push_back(fmt::format("{}/pixel", poolingName(pooling)));
    return fmt::format("{}", fmt::join(notes, " · "));
}

PaneContent MapsPage::content(const Shown& shown, Pooling pooling) const {
    PaneContent content;
    content.mark = shown.mark;
    content.title = shown.title;
    content.absent = shown.absent;
    if (!content.absent.empty() || !shown.map()) {
        if (content.absent.empty()) content.absent = "Computing…";
        return content;
    }
    const AttentionMap& map = *shown.map();
    const LinkedView& view = m_model.view();
    const CanvasCursor& cursor = m_model.cursor;
    content.subtitle = fmt::format("[{}×{}]", map.matrix.rows * map.rowBlock, map.matrix.cols * map.colBlock);
    content.note = note(shown, pooling);
    const ValueScale scale = m_model.colouring().scale(shown.range);
    content.caption = fmt::format("colours from {} to {}", numberText(scale.lo), numberText(scale.hi));
    const auto label = [&model = m_model](std::int64_t position) { return model.tokenAt(position); };
    content.rows = {.camera = view.rows(),
                    .cells = view.tokens(),
                    .block = map.rowBlock,
                    .name = "query",
                    .cursor = cursor.row,
                    .pinned = cursor.pinned,
                    .label = label};
    const bool keys = shown.columns() == ColumnAxis::Keys;
    content.columns = {.camera = view.columns(shown.columns()),
                       .cells = keys ? view.tokens() : view.slots(),
                       .block = map.colBlock,
                       .name = keys ? "key token" : "slot",
                       .cursor = keys ? cursor.key : cursor.slot,
                       .pinned = cursor.pinned,
                       .label = {}};
    if (keys) content.columns.label = label;
    content.scale = scale;
    content.colours = &m_model.colouring().colours(shown.range);
    return content;
}

void MapsPage::apply(ColumnAxis columns, const PaneInput& input) {
    LinkedView& view = m_model.view();
    CanvasCursor& cursor = m_model.cursor;
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
    const std::vector<Shown> all = shown();
    const int count = static_cast<int>(all.size());
    const bool lanes = m_model.page() == CanvasPage::Lanes;
    const bool captioned = lanes && rangesDiffer(all);
    const int columns = lanes ? gridColumns(count, size, kGap, captioned) : 2;
    const ImVec2 card = cardOf(count, columns, size, kGap);
    const ImVec2 plot = MatrixPane::plotSize(card, captioned);
    m_model.view().setPane(plot.x, plot.y);
    bool anyHovered = false;
    for (int index = 0; index < count; ++index) {
        const ImVec2 position{corner.x + static_cast<float>(index % columns) * (card.x + kGap),
                              corner.y + static_cast<float>(index / columns) * (card.y + kGap)};
        const Shown& one = all[static_cast<std::size_t>(index)];
        MatrixPane& pane = this->pane(static_cast<std::size_t>(index));
        put(one, pane);
        const PaneInput input =
            pane.draw(fmt::format("pane {}", index).c_str(), position, card, content(one, pane.pooling()), captioned);
        apply(one.columns(), input);
        anyHovered = anyHovered || input.hovered;
    }
    if (!anyHovered && !m_model.cursor.pinned) m_model.cursor = {};
}

}  // namespace linscope::viz
