#include "viz/canvas/matrix_pane.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "viz/canvas/math_text.h"
#include "viz/canvas/pane_metrics.h"

namespace linscope::viz {

namespace {

CameraAxis deviceAxis(const PaneAxis& axis, double scale) {
    const auto block = static_cast<double>(axis.block);
    return {.centre = axis.camera.centre / block, .pixelsPerCell = axis.camera.pixelsPerCell * block * scale};
}

}  // namespace

MatrixPane::MatrixPane(HeatmapRenderer& renderer, const ImGuiHost& host, Backdrop& backdrop)
    : m_host(host), m_backdrop(backdrop), m_heatmap(renderer) {}

void MatrixPane::setMatrix(std::shared_ptr<const Matrix> matrix, Pooling pooling,
                           std::shared_ptr<const DeviceMatrix> cells) {
    if (cells)
        m_heatmap.setCells(cells->cells(), cells->rows(), cells->cols(), pooling);
    else
        m_heatmap.setMatrix(matrix, pooling);
    m_cells = std::move(cells);
    m_matrix = std::move(matrix);
    m_pooling = pooling;
}

void MatrixPane::clear() {
    m_matrix.reset();
    m_cells.reset();
}

ImVec2 MatrixPane::plotSize(ImVec2 card, bool captioned) {
    const bool below = barBelow(card);
    if (captioned) card.y -= kCaptionHeight;
    return {std::max(16.0F, card.x - kLeftGutter - (below ? kBareRightGutter : kRightGutter)),
            std::max(16.0F, card.y - kTitleHeight - kBottomGutter - (below ? kBarBand : 0))};
}

void MatrixPane::drawHeatmap(const ImDrawList*, const ImDrawCmd* command) {
    auto& pane = *static_cast<MatrixPane*>(command->UserCallbackData);
    pane.m_heatmap.draw(pane.m_commands, pane.m_camera, pane.m_viewport, pane.m_style);
}

PaneInput MatrixPane::draw(const char* id, ImVec2 position, ImVec2 card, const PaneContent& content, bool captioned) {
    const Theme& theme = m_host.theme();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    m_size = plotSize(card, captioned);
    m_barBelow = barBelow(card);
    // Whole device pixels, so that the picture and the lines around it meet.
    const float scale = m_host.scale();
    m_corner = {std::round((position.x + kLeftGutter) * scale) / scale,
                std::round((position.y + kTitleHeight) * scale) / scale};
    m_size = {std::floor(m_size.x * scale) / scale, std::floor(m_size.y * scale) / scale};
    const ImVec2 end{m_corner.x + m_size.x, m_corner.y + m_size.y};

    m_backdrop.card(list, position, {position.x + card.x, position.y + card.y}, theme.card, theme.ground);
    drawTitle(list, position, card, content);

    PaneInput input;
    ImGui::SetCursorScreenPos(m_corner);
    ImGui::InvisibleButton(id, m_size);
    const bool there = m_matrix != nullptr && content.absent.empty();
    if (there) {
        const ImGuiIO& io = ImGui::GetIO();
        input.hovered = ImGui::IsItemHovered();
        input.x = io.MousePos.x - m_corner.x;
        input.y = io.MousePos.y - m_corner.y;
        if (input.hovered) input.wheel = io.MouseWheel;
        if (ImGui::IsItemActive() && ImGui::IsMouseDragging(ImGuiMouseButton_Left, 3.0F)) {
            input.dragX = io.MouseDelta.x;
            input.dragY = io.MouseDelta.y;
        }
        input.doubleClicked = input.hovered && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left);
        const ImVec2 moved = ImGui::GetMouseDragDelta(ImGuiMouseButton_Left, 3.0F);
        // The second release of a double click is no click of its own.
        input.clicked = ImGui::IsItemDeactivated() && input.hovered && moved.x == 0 && moved.y == 0 &&
                        io.MouseClickedLastCount[ImGuiMouseButton_Left] < 2;
    }
    if (!there) {
        m_backdrop.fill(m_corner, end, theme.well);
        const ImFont* font = m_host.fonts().text;
        const float wrap = std::min(m_size.x - 32, 360.0F);
        const float size = lineHeight(font);
        const ImVec2 extent =
            font->CalcTextSizeA(size, 1e9F, wrap, content.absent.data(), content.absent.data() + content.absent.size());
        list.AddText(font, size, {m_corner.x + (m_size.x - extent.x) / 2, m_corner.y + (m_size.y - extent.y) / 2},
                     theme.muted, content.absent.data(), content.absent.data() + content.absent.size(), wrap);
        return input;
    }

    m_camera.rows = deviceAxis(content.rows, scale);
    m_camera.cols = deviceAxis(content.columns, scale);
    m_viewport = {m_corner.x * scale, m_corner.y * scale, m_size.x * scale, m_size.y * scale};
    m_style.colours = content.colours;
    m_style.scale = content.scale;
    const ImVec4 well = ImGui::ColorConvertU32ToFloat4(theme.well);  // beside the matrix, inside the plot
    m_style.background = {well.x, well.y, well.z};
    list.PushClipRect(m_corner, end, true);
    list.AddCallback(&MatrixPane::drawHeatmap, this);
    list.AddCallback(ImDrawCallback_ResetRenderState, nullptr);
    drawValues(list, content);
    drawCursor(list, content);
    drawOverview(list, content);
    list.PopClipRect();
    drawRows(list, content);
    drawColumns(list, content);
    drawColourBar(list, content);
    if (captioned)
        drawText(list, m_host.fonts().small, {position.x + 12, position.y + card.y - kCaptionHeight - 3}, theme.muted,
                 content.caption, card.x - 24);
    return input;
}

void MatrixPane::drawTitle(ImDrawList& list, ImVec2 position, ImVec2 card, const PaneContent& content) const {
    const Fonts& fonts = m_host.fonts();
    const Theme& theme = m_host.theme();
    const float y = position.y + 9;
    float x = position.x + 12;
    const float end = position.x + card.x - 12;
    if (content.mark) {
        const Colour& mark = *content.mark;
        list.AddCircleFilled({x + 4, y + lineHeight(fonts.strong) / 2}, 4.5F,
                             ImGui::ColorConvertFloat4ToU32({mark.red, mark.green, mark.blue, 1}));
        x += 15;
    }
    if (const float wide = mathTextWidth(fonts.strong, content.title); x + wide <= end) {
        drawMathText(list, fonts.strong, {x, y}, theme.text, content.title);
        x += wide + 9;
    } else {  // the name of a lane may be longer than its card
        drawText(list, fonts.strong, {x, y}, theme.text, content.title, end - x);
        if (ImGui::IsMouseHoveringRect(position, {position.x + card.x, m_corner.y}))
            ImGui::SetTooltip("%s", content.title.c_str());
        return;
    }
    const float noteWidth = textWidth(fonts.small, content.note);
    // What a picture leaves out is worth more room than its size, and is told whole where the pointer asks for it.
    if (const float size = textWidth(fonts.number, content.subtitle) + 16;
        content.note.empty() || x + size + noteWidth <= end) {
        drawText(list, fonts.number, {x, y + 1.5F}, theme.muted, content.subtitle);
        x += size;
    }
    if (content.note.empty() || end - x < 24) return;
    const float width = std::min(end - x, noteWidth);
    drawText(list, fonts.small, {end - width, y + 2}, theme.muted, content.note, end - x);
    if (width < noteWidth && ImGui::IsMouseHoveringRect(position, {position.x + card.x, m_corner.y}))
        ImGui::SetTooltip("%s", content.note.c_str());
}

}  // namespace linscope::viz
