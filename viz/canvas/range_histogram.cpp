#include "viz/canvas/range_histogram.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "viz/canvas/axis_ticks.h"
#include "viz/canvas/math_text.h"
#include "viz/heatmap/colour_map.h"

namespace linscope::viz {

namespace {

ImU32 pack(const Colour& colour, float alpha) {
    return ImGui::ColorConvertFloat4ToU32({colour.red, colour.green, colour.blue, alpha});
}

const Histogram& shown(const HistogramLayer& layer, bool logarithmic) {
    return logarithmic ? layer.statistics->decades : layer.statistics->values;
}

}  // namespace

RangeAxis::RangeAxis(std::span<const HistogramLayer> layers, const ValueScale& scale)
    : m_logarithmic(scale.kind == ScaleKind::Log) {
    bool first = true;
    const auto include = [&](double low, double high) {
        m_low = first ? low : std::min(m_low, low);
        m_high = first ? high : std::max(m_high, high);
        first = false;
    };
    for (const HistogramLayer& layer : layers) {
        const Histogram& histogram = shown(layer, m_logarithmic);
        if (histogram.finite > 0) include(histogram.min, histogram.max);
    }
    if (m_logarithmic) {
        // Softmax has tails far below anything that is read off a picture: nine decades are enough to choose from.
        m_low = std::max(m_low, m_high - 9);
        if (scale.lo > 0) include(std::log10(scale.lo), std::log10(scale.hi));
    } else {
        include(scale.lo, scale.hi);
    }
    if (scale.kind == ScaleKind::Diverging) {
        const double bound = std::max(std::abs(m_low), std::abs(m_high));
        m_low = -bound;
        m_high = bound;
    }
    if (!(m_high > m_low)) m_high = m_low + 1;
    const double margin = (m_high - m_low) * 0.03;
    m_low -= margin;
    m_high += margin;
}

double RangeAxis::toShare(double value) const {
    if (m_logarithmic) value = value > 0 ? std::log10(value) : m_low;
    return (value - m_low) / (m_high - m_low);
}

double RangeAxis::toValue(double share) const {
    const double at = m_low + share * (m_high - m_low);
    return m_logarithmic ? std::pow(10.0, at) : at;
}

namespace {

/// Where the histogram lies, and what a place in it means.
struct Placement {
    ImVec2 corner, plot;
    ValueScale scale;
    RangeAxis axis;

    ImVec2 end() const { return {corner.x + plot.x, corner.y + plot.y}; }
    float across(double share) const { return corner.x + plot.x * static_cast<float>(share); }
    float pixel(double value) const { return across(std::clamp(axis.toShare(value), 0.0, 1.0)); }
};

/// What is held by the mouse.
enum Grabbed { kLow, kHigh, kSpan };

void drag(const Placement& place, RangeOf range, Colouring& colouring) {
    const ValueScale& scale = place.scale;
    const bool symmetric = colouring.isSymmetric(range);
    ImGuiStorage* memory = ImGui::GetStateStorage();
    const ImGuiID grabbed = ImGui::GetID("grabbed");
    const float mouse = ImGui::GetIO().MousePos.x;
    if (ImGui::IsItemActivated()) {
        const float low = place.pixel(scale.lo), high = place.pixel(scale.hi);
        const float toLow = std::abs(mouse - low), toHigh = std::abs(mouse - high);
        const bool near = std::min(toLow, toHigh) < 12 || mouse < low || mouse > high || symmetric;
        memory->SetInt(grabbed, !near ? kSpan : toLow < toHigh ? kLow : kHigh);
    }
    if (!ImGui::IsItemActive() || ImGui::GetIO().MouseDelta.x == 0) return;
    const int what = memory->GetInt(grabbed, kHigh);
    if (what == kSpan) {
        const double delta = ImGui::GetIO().MouseDelta.x / place.plot.x;
        const auto moved = [&](double value) {
            return static_cast<float>(place.axis.toValue(place.axis.toShare(value) + delta));
        };
        colouring.setRange(range, moved(scale.lo), moved(scale.hi));
        return;
    }
    const double share = (mouse - place.corner.x) / place.plot.x;
    const auto value = static_cast<float>(place.axis.toValue(std::clamp(share, 0.0, 1.0)));
    if (symmetric)
        colouring.setRange(range, -std::abs(value), std::abs(value));
    else if (what == kLow && value < scale.hi)
        colouring.setRange(range, value, scale.hi);
    else if (what == kHigh && value > scale.lo)
        colouring.setRange(range, scale.lo, value);
}

void drawLayer(ImDrawList& list, const Placement& place, const HistogramLayer& layer, const ColourMap& map,
               ImU32 outline) {
    const RangeAxis& axis = place.axis;
    const Histogram& histogram = shown(layer, axis.logarithmic());
    if (histogram.finite == 0 || histogram.counts.empty()) return;
    const auto largest = static_cast<double>(*std::max_element(histogram.counts.begin(), histogram.counts.end()));
    const double width = (histogram.max - histogram.min) / static_cast<double>(histogram.counts.size());
    // Edges of bins of a logarithmic axis are exponents already.
    const auto across = [&](double at) { return place.across((at - axis.low()) / (axis.high() - axis.low())); };
    ImVec2 before{};
    for (std::size_t bin = 0; bin < histogram.counts.size(); ++bin) {
        const double low = histogram.min + width * static_cast<double>(bin);
        const double middle = low + width / 2;
        const double share = std::log1p(static_cast<double>(histogram.counts[bin])) / std::log1p(largest);
        const float top = place.end().y - (place.plot.y - 6) * static_cast<float>(share);
        if (layer.filled) {
            const double value = axis.logarithmic() ? std::pow(10.0, middle) : middle;
            const float at = place.scale.position(static_cast<float>(value));
            const bool outside = !(at >= 0 && at <= 1);
            list.AddRectFilled(
                {across(low), top}, {std::max(across(low + width), across(low) + 1), place.end().y},
                pack(map.at(std::isnan(at) ? 0.0F : std::clamp(at, 0.0F, 1.0F)), outside ? 0.35F : 0.95F));
        } else {
            const ImVec2 here{across(middle), top};
            if (bin > 0) list.AddLine(before, here, outline, 1.2F);
            before = here;
        }
    }
}

void drawHandles(ImDrawList& list, const Placement& place, ImU32 veil, ImU32 handle) {
    const ImVec2 corner = place.corner, end = place.end();
    const float low = place.pixel(place.scale.lo), high = place.pixel(place.scale.hi);
    list.AddRectFilled(corner, {low, end.y}, veil, 4);
    list.AddRectFilled({high, corner.y}, end, veil, 4);
    for (const float x : {low, high}) {
        list.AddLine({x, corner.y}, {x, end.y}, handle, 1.5F);
        list.AddTriangleFilled({x - 4.5F, end.y + 5}, {x + 4.5F, end.y + 5}, {x, end.y - 1}, handle);
    }
}

/// The ends of the range below their handles, side by side where these are close.
void drawCaptions(ImDrawList& list, const Placement& place, const ImFont* font, ImU32 colour) {
    const ImVec2 corner = place.corner, end = place.end();
    const std::string left = numberText(place.scale.lo, 3), right = numberText(place.scale.hi, 3);
    const float leftWide = textWidth(font, left), rightWide = textWidth(font, right);
    float rightAt = std::clamp(place.pixel(place.scale.hi) - rightWide / 2, corner.x, end.x - rightWide);
    const float leftAt =
        std::clamp(place.pixel(place.scale.lo) - leftWide / 2, corner.x, std::max(corner.x, rightAt - leftWide - 10));
    rightAt = std::max(rightAt, leftAt + leftWide + 10);
    drawText(list, font, {leftAt, end.y + 6}, colour, left);
    drawText(list, font, {rightAt, end.y + 6}, colour, right);
}

}  // namespace

void rangeHistogram(const ImGuiHost& host, const char* id, RangeOf range, Colouring& colouring,
                    std::span<const HistogramLayer> layers, ImVec2 size) {
    const Theme& theme = host.theme();
    const ImFont* font = host.fonts().tiny;
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const ValueScale scale = colouring.scale(range);
    const Placement place{.corner = ImGui::GetCursorScreenPos(),
                          .plot = {size.x, size.y - (lineHeight(font) + 4)},
                          .scale = scale,
                          .axis = RangeAxis(layers, scale)};
    ImGui::PushID(id);
    ImGui::InvisibleButton("histogram", size);
    const bool hovered = ImGui::IsItemHovered(), active = ImGui::IsItemActive();
    drag(place, range, colouring);
    if (hovered && ImGui::IsMouseClicked(ImGuiMouseButton_Right)) colouring.setAutomatic(range);

    const ImVec2 corner = place.corner, end = place.end();
    list.AddRectFilled(corner, end, theme.well, 4);
    list.PushClipRect(corner, end, true);
    for (const HistogramLayer& layer : layers) drawLayer(list, place, layer, colouring.colours(range), theme.outline);
    list.PopClipRect();
    drawHandles(list, place, theme.veil, active ? theme.accent : hovered ? theme.text : theme.muted);
    drawCaptions(list, place, font, theme.muted);
    if (!colouring.isAutomatic(range)) {
        const char* text = "set by hand";
        drawText(list, font, {end.x - textWidth(font, text) - 5, corner.y + 4}, theme.accent, text);
    }
    ImGui::PopID();
}

}  // namespace linscope::viz
