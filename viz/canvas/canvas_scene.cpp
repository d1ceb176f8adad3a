#include "viz/canvas/canvas_scene.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "viz/canvas/controls.h"
#include "viz/canvas/map_tools.h"
#include "viz/canvas/math_text.h"
#include "viz/canvas/probe.h"

namespace linscope::viz {

namespace {

constexpr float kMargin = 10;
constexpr float kBarHeight = 44;
constexpr float kToolsWidth = 312;
constexpr float kNumberBox = 48, kShortestName = 96, kLongestName = 220;  // lists of the bar
constexpr float kMoreWidth = 26, kLabelColumn = 58;                       // and the button that has the others
constexpr float kNarrowBar = 700, kPageWidth = 72, kNarrowPageWidth = 66;
const ImVec2 kSmallest{420, 320};  ///< below this a page cannot be read
constexpr double kKeyZoom = 1.4;

std::vector<std::string> numbers(std::int64_t count) {
    std::vector<std::string> list;
    for (std::int64_t index = 0; index < count; ++index) list.push_back(fmt::format("{}", index));
    return list;
}

}  // namespace

CanvasScene::CanvasScene(HeatmapRenderer& renderer, ImGuiHost& host, std::function<void()> onMaps,
                         MapService::Work work)
    : m_host(host),
      m_model(std::move(onMaps), std::move(work)),
      m_maps(renderer, host, m_backdrop, m_model),
      m_projection(renderer, host, m_backdrop, m_model) {}

void CanvasScene::recordInto(VkCommandBuffer commands) {
    m_maps.recordInto(commands);
    m_projection.recordInto(commands);
}

void CanvasScene::draw(float width, float height) {
    m_model.colouring().setDarkGround(m_host.theme().dark);
    m_model.update();
    m_backdrop.reset();
    ImGui::SetNextWindowPos({0, 0});
    ImGui::SetNextWindowSize({width, height});
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(0, 0));
    ImGui::Begin("canvas", nullptr,
                 ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings |
                     ImGuiWindowFlags_NoBringToFrontOnFocus | ImGuiWindowFlags_NoScrollWithMouse |
                     ImGuiWindowFlags_NoBackground | ImGuiWindowFlags_NoNav);
    ImGui::PopStyleVar();
    ImGui::PushFont(m_host.fonts().text);
    m_room = width > kSmallest.x + kToolsWidth;
    if (m_room) m_toolsOver = false;
    const float tools = m_tools && m_room ? kToolsWidth + kMargin : 0;
    const ImVec2 corner{kMargin, kBarHeight};
    const ImVec2 page{width - 2 * kMargin - tools, height - kBarHeight - kMargin};
    if (page.x < kSmallest.x - 2 * kMargin || page.y < kSmallest.y - kBarHeight - kMargin) {
        const char* text = "Enlarge this view to see the maps.";
        const ImFont* font = m_host.fonts().text;
        drawText(*ImGui::GetWindowDrawList(), font,
                 {std::max(4.0F, (width - textWidth(font, text)) / 2), height / 2 - 8}, m_host.theme().muted, text,
                 width - 8);
    } else {
        drawBar({kMargin, 0}, {width - 2 * kMargin, kBarHeight});
        if (m_model.page() != CanvasPage::Projection) {
            m_maps.draw(corner, page);
            // A place is a share of the fitted view, which is known once maps and panes are.
            if (m_placePending && m_model.tokenCount() > 1) {
                m_placePending = false;
                m_model.view().setPlace(m_restoredPlace);
            }
        } else {
            m_projection.draw(corner, page);
        }
        // In a narrow canvas they lie over the page while they are asked for: maps alone would be left without them.
        if (toolsShown())
            drawTools({width - kMargin - kToolsWidth, kBarHeight}, {kToolsWidth, page.y});
        else if (m_model.page() != CanvasPage::Projection)
            drawProbeAtMouse(m_host, m_model);
    }
    ImGui::PopFont();
    ImGui::End();
}

CanvasScene::Shown CanvasScene::shown() const {
    Shown shown;
    if (m_model.page() == CanvasPage::Lanes) {
        for (int lane = 0; lane < static_cast<int>(m_model.lanes().size()); ++lane) {
            const auto set = m_model.own(lane);
            if (!set) continue;
            shown.step = std::max(shown.step.value_or(0), set->snapshot->step);
            shown.current = shown.current && set->choice == m_model.choiceIn(lane);
        }
        return shown;
    }
    const bool maps = m_model.page() == CanvasPage::Maps;
    const auto set = maps ? m_model.maps() : m_model.projections();
    const auto snapshot = set ? set->snapshot : maps ? nullptr : m_model.snapshot();
    if (!snapshot) return shown;
    return {.step = snapshot->step,
            .what = snapshot->mechanism,
            .place = maps ? set->routeSentence() : m_projection.place(),
            .current = !set || set->choice == m_model.choice()};
}

float CanvasScene::drawChoice(ImVec2 corner, float end, float gap) {
    HeadChoice choice = m_model.choice();
    const auto snapshot = m_model.snapshot();
    struct List {
        const char* label;
        std::vector<std::string> entries;
        int& index;
    };
    std::vector<List> lists{
        {"layer", numbers(snapshot ? static_cast<std::int64_t>(snapshot->layers.size()) : 1), choice.layer},
        {"head", numbers(snapshot ? snapshot->heads : 1), choice.head}};
    if (m_model.page() != CanvasPage::Projection)
        lists.push_back({"sample", numbers(snapshot ? snapshot->samples : 1), choice.sample});
    const ImFont* font = m_host.fonts().text;
    std::vector<float> widths;
    for (const List& list : lists) widths.push_back(textWidth(font, list.label) + 6 + kNumberBox + gap);

    bool changed = false;
    const float room = end - corner.x, more = kMoreWidth + 4;
    const bool named = m_model.page() != CanvasPage::Lanes;
    const std::size_t beside = listsThatFit(room - (named ? kShortestName + gap : 0), widths, more);
    ImGui::SetCursorScreenPos(corner);
    if (named) {
        // Its name says what it is: no label. As wide as the longest name, where there is room.
        float width = 0;
        for (const std::string& name : m_model.lanes()) width = std::max(width, textWidth(font, name) + 46);
        const float others =
            std::accumulate(widths.begin(), widths.begin() + static_cast<std::ptrdiff_t>(beside), 0.0F);
        const float rest = room - gap - others - (beside < lists.size() ? more : 0);
        width = std::clamp(std::min(width, rest), kShortestName, kLongestName);
        changed = choiceBox(m_host, "##lane", m_model.lanes(), choice.lane, width);
        ImGui::SameLine(0, gap);
    }
    for (std::size_t i = 0; i < beside; ++i) {
        changed = choiceBox(m_host, lists[i].label, lists[i].entries, lists[i].index, kNumberBox) || changed;
        ImGui::SameLine(0, gap);
    }
    if (beside < lists.size()) {
        if (ImGui::Button("…", {kMoreWidth, 0})) ImGui::OpenPopup("more lists");
        if (ImGui::IsItemHovered()) tooltip(m_host, beside + 1 < lists.size() ? "head and sample" : lists.back().label);
        ImGui::SameLine(0, gap);
        const float x = ImGui::GetCursorScreenPos().x;
        if (ImGui::BeginPopup("more lists")) {
            for (std::size_t i = beside; i < lists.size(); ++i)
                changed = choiceBox(m_host, lists[i].label, lists[i].entries, lists[i].index, 1.5F * kNumberBox,
                                    kLabelColumn) ||
                          changed;
            ImGui::EndPopup();
        }
        if (changed) m_model.choose(choice);
        return x;
    }
    if (changed) m_model.choose(choice);
    return ImGui::GetCursorScreenPos().x;
}

void CanvasScene::drawBar(ImVec2 corner, ImVec2 size) {
    const Theme& theme = m_host.theme();
    const std::array<std::string, kCanvasPageCount> pages{"Maps", "Projection", "Lanes"};
    ImGui::SetCursorScreenPos({corner.x, corner.y + 9});
    int page = static_cast<int>(m_model.page());
    const bool narrow = size.x < kNarrowBar;
    const float wide = (narrow ? kNarrowPageWidth : kPageWidth) * kCanvasPageCount;
    if (segments(m_host, "page", pages, page, wide)) {
        m_model.setPage(static_cast<CanvasPage>(page));
        if (m_model.onPage) m_model.onPage();
    }
    const ImVec2 toggle{corner.x + size.x - 62, corner.y + 9};
    const float gap = size.x > 900 ? 14 : narrow ? 8 : 10;
    const float used = drawChoice({corner.x + wide + gap, corner.y + 9}, toggle.x, gap);

    // Right: which step this is, and whether newer maps are on their way.
    const Shown shown = this->shown();
    ImGui::SetCursorScreenPos(toggle);
    bool& wanted = m_room ? m_tools : m_toolsOver;
    if (ImGui::Button(toolsShown() ? "Tools ▸" : "◂ Tools", {62, 0})) wanted = !wanted;
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const Fonts& fonts = m_host.fonts();
    const std::string step = shown.step ? fmt::format("step {}", *shown.step) : std::string("no step yet");
    const float wideStep = textWidth(fonts.number, step);
    const float x = toggle.x - 16 - wideStep;
    if (x < used) return;
    drawText(list, fonts.number, {x, corner.y + 14.5F}, shown.step ? theme.text : theme.muted, step);
    if (!shown.step) return;
    std::string note = shown.current ? shown.what : "computing";
    if (!note.empty()) note += "  ·";
    const std::string& place = shown.place;
    const std::string whole = place.empty() ? note : fmt::format("{}  ·  {}", place, note);
    if (x - 8 - textWidth(fonts.text, whole) > used) note = whole;
    const float wideNote = textWidth(fonts.text, note);
    if (x - 8 - wideNote > used)
        drawText(list, fonts.text, {x - 8 - wideNote, corner.y + 13}, shown.current ? theme.muted : theme.warn, note);
}

void CanvasScene::drawTools(ImVec2 corner, ImVec2 size) {
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const ImVec2 end{corner.x + size.x, corner.y + size.y};
    const Theme& theme = m_host.theme();
    if (m_room) {
        m_backdrop.card(list, corner, end, theme.card, theme.ground);
    } else {  // above the pictures, which the backdrop lies below
        list.AddRectFilled(corner, end, theme.card, 6);
        list.AddRect(corner, end, theme.cardLine, 6);
    }
    ImGui::SetCursorScreenPos(corner);
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(14, 12));
    ImGui::BeginChild("tools", size, true, ImGuiWindowFlags_NoNav | ImGuiWindowFlags_AlwaysUseWindowPadding);
    ImGui::PopStyleVar();
    const float width = ImGui::GetContentRegionAvail().x;
    if (m_model.page() != CanvasPage::Projection)
        drawMapTools(m_host, m_model, width);
    else
        m_projection.drawTools(width);
    ImGui::EndChild();
}

bool CanvasScene::step(int layers, int heads) {
    HeadChoice choice = m_model.choice();
    choice.layer += layers;
    choice.head += heads;
    m_model.choose(choice);
    return true;
}

bool CanvasScene::moveCursor(CanvasKey key) {
    CanvasCursor& cursor = m_model.cursor;
    LinkedView& view = m_model.view();
    if (m_model.page() == CanvasPage::Projection || cursor.row < 0) return false;
    const bool slots = cursor.slot >= 0;
    const int down = key == CanvasKey::Down ? 1 : key == CanvasKey::Up ? -1 : 0;
    const int right = key == CanvasKey::Right ? 1 : key == CanvasKey::Left ? -1 : 0;
    cursor.pinned = true;
    cursor.row = std::clamp<std::int64_t>(cursor.row + down, 0, view.tokens() - 1);
    std::int64_t& column = slots ? cursor.slot : cursor.key;
    column = std::clamp<std::int64_t>(column + right, 0, (slots ? view.slots() : view.tokens()) - 1);
    view.reveal(slots ? ColumnAxis::Slots : ColumnAxis::Keys, cursor.row, column);
    return true;
}

bool CanvasScene::key(CanvasKey key) {
    const bool maps = m_model.page() != CanvasPage::Projection;
    LinkedView& view = m_model.view();
    switch (key) {
        case CanvasKey::Fit:
            maps ? view.fit() : m_projection.fit();
            return true;
        case CanvasKey::ZoomIn:
        case CanvasKey::ZoomOut: {
            const double factor = key == CanvasKey::ZoomIn ? kKeyZoom : 1 / kKeyZoom;
            if (maps)  // in the compressed map where the cursor is there
                view.zoom(m_model.cursor.slot >= 0 ? ColumnAxis::Slots : ColumnAxis::Keys, factor, view.width() / 2,
                          view.height() / 2);
            else
                m_projection.zoom(factor);
            return true;
        }
        case CanvasKey::Release:  // one thing at a time, the uppermost first
            if (m_host.closePopups()) return true;
            if (m_toolsOver)
                m_toolsOver = false;
            else
                m_model.cursor = {};
            return true;
        case CanvasKey::NextHead:
            return step(0, 1);
        case CanvasKey::PreviousHead:
            return step(0, -1);
        case CanvasKey::NextLayer:
            return step(1, 0);
        case CanvasKey::PreviousLayer:
            return step(-1, 0);
        default:
            return moveCursor(key);
    }
}

CanvasSettings CanvasScene::settings() const {
    const Colouring& colouring = m_model.colouring();
    return {.choice = m_model.savedChoice(),
            .page = m_model.page(),
            .place = m_placePending ? m_restoredPlace : m_model.view().place(),
            .scale = std::string(scaleName(colouring.kind())),
            .sequential = colouring.sequentialName(),
            .diverging = colouring.divergingName(),
            .joint = colouring.chosenJoint(),
            .rangeEach = colouring.rangeEach(),
            .tools = m_tools};
}

void CanvasScene::restore(const CanvasSettings& settings) {
    m_model.restoreChoice(settings.choice);
    m_model.setPage(settings.page);
    m_tools = settings.tools;
    m_restoredPlace = settings.place;
    m_placePending = true;
    Colouring& colouring = m_model.colouring();
    colouring.restoreJoint(settings.joint);
    colouring.setRangeEach(settings.rangeEach);
    colouring.setKind(settings.scale.empty() ? ScaleKind::Linear : scaleKind(settings.scale));
    for (const std::string& name : {settings.sequential, settings.diverging})
        if (!name.empty()) colouring.setColours(name);
}

}  // namespace linscope::viz
