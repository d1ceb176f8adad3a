#include "viz/canvas/probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "viz/canvas/axis_ticks.h"
#include "viz/canvas/controls.h"
#include "viz/canvas/math_text.h"

namespace linscope::viz {

namespace {

/// One line of text around a token, which is set off; cut to the width.
void contextLine(const ImGuiHost& host, const CanvasModel& model, std::int64_t position, ImU32 mark, float width) {
    const Theme& theme = host.theme();
    const ImFont* font = host.fonts().number;
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const ImVec2 corner = ImGui::GetCursorScreenPos();
    const float height = lineHeight(font) + 8;
    ImGui::Dummy({width, height});
    list.AddRectFilled(corner, {corner.x + width, corner.y + height}, theme.well, 4);
    const std::string token = model.tokenAt(position);
    const float own = textWidth(font, token);
    const float middle = corner.x + width / 2;
    const float y = corner.y + 4;
    list.PushClipRect({corner.x + 4, corner.y}, {corner.x + width - 4, corner.y + height}, true);
    list.AddRectFilled({middle - own / 2 - 3, corner.y + 2}, {middle + own / 2 + 3, corner.y + height - 2}, mark, 3);
    drawText(list, font, {middle - own / 2, y}, theme.ground, token);
    float x = middle + own / 2 + 4;
    for (std::int64_t next = position + 1; next < model.tokenCount() && x < corner.x + width; ++next) {
        const std::string text = model.tokenAt(next);
        drawText(list, font, {x, y}, theme.muted, text);
        x += textWidth(font, text);
    }
    x = middle - own / 2 - 4;
    for (std::int64_t before = position - 1; before >= 0 && x > corner.x; --before) {
        const std::string text = model.tokenAt(before);
        x -= textWidth(font, text);
        drawText(list, font, {x, y}, theme.muted, text);
    }
    list.PopClipRect();
}

std::string valueAt(const AttentionMap* map, std::int64_t row, std::int64_t column) {
    if (!map || row < 0 || column < 0) return "–";
    const std::int64_t r = row / map->rowBlock, c = column / map->colBlock;
    if (r >= map->matrix.rows || c >= map->matrix.cols) return "–";
    return numberText(map->matrix.at(r, c), 4);
}

/// The tokens that weigh most in slot `slot`, by magnitude.
std::vector<std::int64_t> strongest(const Projection& projection, std::int64_t slot, std::size_t count) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(projection.length));
    std::iota(order.begin(), order.end(), 0);
    const float* row = projection.values.data() + slot * projection.length;
    count = std::min(count, order.size());
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                      [row](std::int64_t a, std::int64_t b) { return std::abs(row[a]) > std::abs(row[b]); });
    order.resize(count);
    return order;
}

void label(const ImGuiHost& host, const std::string& text) {
    ImGui::PushFont(host.fonts().small);
    ImGui::PushStyleColor(ImGuiCol_Text, host.theme().muted);
    ImGui::PushTextWrapPos(0);  // a reason may be longer than the panel is wide
    ImGui::TextUnformatted(text.c_str());
    ImGui::PopTextWrapPos();
    ImGui::PopStyleColor();
    ImGui::PopFont();
}

}  // namespace

void ProbeTable::row(std::string_view name, std::string_view value, ImU32 colour, std::string_view help) {
    const Theme& theme = m_host.theme();
    const Fonts& fonts = m_host.fonts();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const ImVec2 corner = ImGui::GetCursorScreenPos();
    const float height = 19;
    ImGui::Dummy({m_width, height - ImGui::GetStyle().ItemSpacing.y});
    if (!help.empty() && ImGui::IsMouseHoveringRect(corner, {corner.x + m_width, corner.y + height}) &&
        ImGui::IsWindowHovered()) {
        list.AddRectFilled({corner.x - 4, corner.y}, {corner.x + m_width + 4, corner.y + height},
                           m_host.theme().touched, 3);
        tooltip(m_host, help);
    }
    drawMathText(list, fonts.text, {corner.x, corner.y + 2}, theme.muted, name);
    const float wide = textWidth(fonts.number, value);
    drawText(list, fonts.number, {corner.x + m_width - wide, corner.y + 3}, colour ? colour : theme.text, value);
}

namespace {

void drawLaneValues(const CanvasModel& model, ProbeTable& table) {
    for (int lane = 0; lane < static_cast<int>(model.lanes().size()); ++lane) {
        const auto set = model.own(lane);
        const int index = set ? set->ownIndex() : -1;
        table.row(model.lanes()[static_cast<std::size_t>(lane)],
                  valueAt(index < 0 ? nullptr : set->maps[index].get(), model.cursor.row, model.cursor.key));
    }
}

void drawProbeLines(const ImGuiHost& host, const CanvasModel& model, float width) {
    const CanvasCursor& cursor = model.cursor;
    sectionTitle(host, cursor.pinned ? "Under the pinned cursor" : "Under the cursor",
                 "Row: the token that asks (query). Column: the token that is read (key). A click pins the cursor, "
                 "another click or Esc frees it; arrow keys move it.\n\nAttention is not an explanation: a large "
                 "weight says what is mixed into this position in this layer, not why the model answers as it does.");
    if (cursor.row < 0) {
        label(host, "Point at a cell.");
        return;
    }
    label(host, fmt::format("query token {}", cursor.row));
    contextLine(host, model, cursor.row, host.theme().accent, width);
    if (cursor.key >= 0) {
        label(host, fmt::format("key token {}", cursor.key));
        contextLine(host, model, cursor.key, host.theme().warn, width);
    }
    ImGui::Dummy({0, 1});
    ProbeTable table(host, width);
    if (model.page() == CanvasPage::Lanes) return drawLaneValues(model, table);
    const auto set = model.maps();
    if (!set) return;
    const auto map = [&](int index) { return set->maps[index].get(); };
    if (cursor.slot >= 0) {
        table.row("slot", fmt::format("{}", cursor.slot));
        table.row("compressed P\u0304", valueAt(map(1), cursor.row, cursor.slot));
        const Projection* values = set->snapshot->projection("F", set->choice.layer, set->choice.head);
        if (values && cursor.slot < values->slots) {
            label(host, fmt::format("tokens that feed slot {} most (|F|)", cursor.slot));
            for (const std::int64_t token : strongest(*values, cursor.slot, 4))
                table.row(
                    fmt::format("{}  {}", token, model.tokenAt(token)),
                    numberText(values->values[static_cast<std::size_t>(cursor.slot * values->length + token)], 3));
        }
        return;
    }
    table.row("exact P", valueAt(map(0), cursor.row, cursor.key));
    if (!map(2)) return;
    table.row("lifted L", valueAt(map(2), cursor.row, cursor.key));
    table.row("difference L − P", valueAt(map(3), cursor.row, cursor.key));
    const Matrix& lifted = map(2)->matrix;
    if (map(2)->rowBlock == 1 && map(2)->colBlock == 1 && cursor.row < lifted.rows) {
        const auto row = lifted.values.begin() + cursor.row * lifted.cols;
        table.row("Σ of L over the row", numberText(std::accumulate(row, row + lifted.cols, 0.0), 4), 0,
                  "A row of P sums to 1. A row of the lifted map need not: F is learned and signed.");
    }
}

constexpr float kProbeHeight = 206;     ///< of title and lines of the longest answer
constexpr float kFidelityHeight = 170;  ///< of the section below

}  // namespace

void drawProbeAtMouse(const ImGuiHost& host, const CanvasModel& model) {
    constexpr float kWidth = 230;
    if (model.cursor.row < 0 || model.cursor.pinned) return;
    ImGui::BeginTooltip();
    drawProbeLines(host, model, kWidth);
    ImGui::EndTooltip();
}

void drawProbe(const ImGuiHost& host, const CanvasModel& model, float width) {
    const float top = ImGui::GetCursorPosY();
    // What is below keeps its place wherever the cursor goes; without room for both it comes up while there is none.
    const bool both = ImGui::GetContentRegionAvail().y >= kProbeHeight + kFidelityHeight;
    drawProbeLines(host, model, width);
    if (!both && model.cursor.row < 0) return;
    const float rest = top + kProbeHeight - ImGui::GetCursorPosY() - ImGui::GetStyle().ItemSpacing.y;
    if (rest > 0) ImGui::Dummy({0, rest});
}

constexpr int kLeastDecade = -3, kMostDecade = 1;  // of the axis of errors

void drawFidelity(const ImGuiHost& host, const CanvasModel& model, float width) {
    const Theme& theme = host.theme();
    const auto set = model.maps();
    const CanvasModel::KnownFidelity* known = model.fidelity();
    const bool probabilities = known && !std::isnan(known->figures.jsDivergence);
    // Figures that are still those of an earlier picture say so, in place of making room for "Computing…".
    const bool current = !set || !known || known->step == set->snapshot->step;
    sectionTitle(
        host, current ? "Fidelity of this head" : fmt::format("Fidelity of this head at step {}", known->step),
        probabilities
            ? "How close the mechanism is to exact attention from the same Q, K and V at this step."
            : "How close the mechanism is to exact attention from the same Q, K and V at this step.\n\nA map that "
              "is signed, or whose rows do not sum to 1, has no KL divergence from the exact one, and none is "
              "shown.");
    if (!set || !set->maps[2]) {
        const std::string absence = model.absence(MapKind::Lifted);
        label(host, absence.empty() ? "–" : absence);
        return;
    }
    if (!known) {
        label(host, model.busy() ? "Computing…" : set->problem.empty() ? "–" : set->problem);
        return;
    }
    const HeadFidelity& fidelity = known->figures;
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const ImVec2 corner = ImGui::GetCursorScreenPos();
    const float height = 14, below = 12;
    // One axis for all heads, lanes and steps, so that bars can be compared: errors of a thousandth and of ten are both
    // met with.
    const auto across = [&](double value) {
        const double place = (std::log10(std::max(value, 1e-9)) - kLeastDecade) / (kMostDecade - kLeastDecade);
        return corner.x + width * static_cast<float>(std::clamp(place, 0.0, 1.0));
    };
    ImGui::Dummy({width, height + below});
    list.AddRectFilled({corner.x, corner.y + 3}, {corner.x + width, corner.y + height}, theme.well, 3);
    list.AddRectFilled({corner.x, corner.y + 3}, {across(fidelity.mapError), corner.y + height}, theme.accent, 3);
    for (int decade = kLeastDecade + 1; decade < kMostDecade; ++decade) {
        const std::string text = numberText(std::pow(10.0, decade), 1);
        const float x = across(std::pow(10.0, decade)), half = textWidth(host.fonts().small, text) / 2;
        list.AddLine({x, corner.y + height - 3}, {x, corner.y + height + 2}, theme.muted);
        drawText(list, host.fonts().small, {x - half, corner.y + height + 1}, theme.muted, text);
    }
    const bool ranked = std::isfinite(fidelity.rankBound);
    if (ranked) {
        const float bound = across(fidelity.rankBound);
        list.AddRectFilled({corner.x, corner.y + 3}, {bound, corner.y + height}, theme.deep, 3);
        list.AddLine({bound, corner.y}, {bound, corner.y + height + 3}, theme.text, 1.5F);
    }
    ProbeTable table(host, width);
    table.row("output error ε", numberText(fidelity.outputError, 3), theme.text,
              "ε = ‖O − Õ‖ / ‖O‖ (Frobenius): the error of what the head writes. The main figure.");
    table.row("map error", numberText(fidelity.mapError, 3), theme.accent,
              "‖P − L‖ / ‖P‖: the bar above, on one logarithmic axis for all heads, lanes and steps.");
    if (ranked)
        table.row(
            "best rank-K map", numberText(fidelity.rankBound, 3), 0,
            "Eckart–Young bound: the map error of the best possible map of rank K, the line in the bar. What "
            "lies left of it is paid for a small K; what lies right of it for a projection that could be better.");
    table.row("negative mass", numberText(fidelity.negativeMass, 3), 0,
              "Mean over rows of the sum of |L| where L is negative. Exact attention has none.");
    table.row("row-sum error", numberText(fidelity.rowSumError, 3), 0, "Mean over rows of |Σ L − 1|.");
    if (probabilities) {
        table.row("KL divergence",
                  std::isinf(fidelity.klDivergence) ? "∞" : numberText(fidelity.klDivergence, 3) + " bits", 0,
                  "KL(P‖L), mean over rows, in bits: infinite where the mechanism leaves out a key that P sees.");
        table.row("JS divergence", numberText(fidelity.jsDivergence, 3) + " bits", 0,
                  "Jensen–Shannon, mean over rows, in bits: 0 for equal maps, at most 1.");
    }
    if (std::isfinite(fidelity.topKeyRecall))
        table.row(
            "top-16 recall", numberText(fidelity.topKeyRecall, 3), 0,
            "Of the 16 other keys with the greatest exact weights, the share that the mechanism sees at all; mean "
            "over queries. Shown for mechanisms that leave keys out.");
}

}  // namespace linscope::viz
