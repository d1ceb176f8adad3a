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

void rangeHistogram(const ImGuiHost& host, const char* id, RangeOf range, Colouring& colouring,
                    std::span<const HistogramLayer> layers, ImVec2 size) {
    const Theme& theme = host.theme();
    const Fonts& fonts = host.fonts();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const ImVec2 corner = ImGui::GetCursorScreenPos();
    const float captions = lineHeight(fonts.tiny) + 4;
    const ImVec2 plot{size.x, size.y - captions};
    const ImVec2 end{corner.x + plot.x, corner.y + plot.y};
    ImGui::PushID(id);
    ImGui::InvisibleButton("histogram", size);
    const bool hovered = ImGui::IsItemHovered(), active = ImGui::IsItemActive();

    const ValueScale scale = colouring.scale(range);
    const RangeAxis axis(layers, scale);
    const ColourMap& map = colouring.colours(range);
    const bool symmetric = colouring.isSymmetric(range);
    const auto pixel = [&](double value) {
        return corner.x + plot.x * static_cast<float>(std::clamp(axis.toShare(value), 0.0, 1.0));
    };

    // 0 and 1: a handle; 2: the span between them.
    ImGuiStorage* memory = ImGui::GetStateStorage();
    const ImGuiID grabbed = ImGui::GetID("grabbed");
    const float mouse = ImGui::GetIO().MousePos.x;
    if (ImGui::IsItemActivated()) {
        const float toLow = std::abs(mouse - pixel(scale.lo)), toHigh = std::abs(mouse - pixel(scale.hi));
        const bool near =
            std::min(toLow, toHigh) < 12 || mouse < pixel(scale.lo) || mouse > pixel(scale.hi) || symmetric;
        memory->SetInt(grabbed, !near ? 2 : toLow < toHigh ? 0 : 1);
    }
    if (active && ImGui::GetIO().MouseDelta.x != 0) {
        const double share = (mouse - corner.x) / plot.x;
        const int what = memory->GetInt(grabbed, 1);
        if (what == 2) {
            const double delta = ImGui::GetIO().MouseDelta.x / plot.x;
            colouring.setRange(range, static_cast<float>(axis.toValue(axis.toShare(scale.lo) + delta)),
                               static_cast<float>(axis.toValue(axis.toShare(scale.hi) + delta)));
        } else {
            const auto value = static_cast<float>(axis.toValue(std::clamp(share, 0.0, 1.0)));
            if (symmetric)
                colouring.setRange(range, -std::abs(value), std::abs(value));
            else if (what == 0 && value < scale.hi)
                colouring.setRange(range, value, scale.hi);
            else if (what == 1 && value > scale.lo)
                colouring.setRange(range, scale.lo, value);
        }
    }
    if (hovered && ImGui::IsMouseClicked(ImGuiMouseButton_Right)) colouring.setAutomatic(range);

    list.AddRectFilled(corner, end, theme.well, 4);
    list.PushClipRect(corner, end, true);
    for (const HistogramLayer& layer : layers) {
        const Histogram& histogram = shown(layer, axis.logarithmic());
        if (histogram.finite == 0 || histogram.counts.empty()) continue;
        const auto largest = static_cast<double>(*std::max_element(histogram.counts.begin(), histogram.counts.end()));
        const double bins = static_cast<double>(histogram.counts.size());
        const double width = (histogram.max - histogram.min) / bins;
        ImVec2 before{};
        for (std::size_t bin = 0; bin < histogram.counts.size(); ++bin) {
            const double low = histogram.min + width * static_cast<double>(bin);
            const double middle = low + width / 2;
            const auto across = [&](double at) {
                return corner.x + plot.x * static_cast<float>((at - axis.low()) / (axis.high() - axis.low()));
            };
            const double share = std::log1p(static_cast<double>(histogram.counts[bin])) / std::log1p(largest);
            const float top = end.y - (plot.y - 6) * static_cast<float>(share);
            if (layer.filled) {
                const double value = axis.logarithmic() ? std::pow(10.0, middle) : middle;
                const float at = scale.position(static_cast<float>(value));
                const bool outside = !(at >= 0 && at <= 1);
                list.AddRectFilled(
                    {across(low), top}, {std::max(across(low + width), across(low) + 1), end.y},
                    pack(map.at(std::isnan(at) ? 0.0F : std::clamp(at, 0.0F, 1.0F)), outside ? 0.35F : 0.95F));
            } else {
                const ImVec2 here{across(middle), top};
                if (bin > 0) list.AddLine(before, here, theme.outline, 1.2F);
                before = here;
            }
        }
    }
    list.PopClipRect();
    const float low = pixel(scale.lo), high = pixel(scale.hi);
    list.AddRectFilled(corner, {low, end.y}, theme.veil, 4);
    list.AddRectFilled({high, corner.y}, end, theme.veil, 4);
    const ImU32 handle = active ? theme.accent : hovered ? theme.text : theme.muted;
    for (const float x : {low, high}) {
        list.AddLine({x, corner.y}, {x, end.y}, handle, 1.5F);
        list.AddTriangleFilled({x - 4.5F, end.y + 5}, {x + 4.5F, end.y + 5}, {x, end.y - 1}, handle);
    }
    const std::string left = numberText(scale.lo, 3), right = numberText(scale.hi, 3);
    const float leftWide = textWidth(fonts.tiny, left), rightWide = textWidth(fonts.tiny, right);
    float rightAt = std::clamp(high - rightWide / 2, corner.x, end.x - rightWide);
    const float leftAt = std::clamp(low - leftWide / 2, corner.x, std::max(corner.x, rightAt - leftWide - 10));
    rightAt = std::max(rightAt, leftAt + leftWide + 10);
    drawText(list, fonts.tiny, {leftAt, end.y + 6}, theme.muted, left);
    drawText(list, fonts.tiny, {rightAt, end.y + 6}, theme.muted, right);
    if (!colouring.isAutomatic(range)) {
        const char* text = "set by hand";
        drawText(list, fonts.tiny, {end.x - textWidth(fonts.tiny, text) - 5, corner.y + 4}, theme.accent, text);
    }
    ImGui::PopID();
}

}  // namespace linscope::viz
