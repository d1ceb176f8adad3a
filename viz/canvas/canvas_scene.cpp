#include "viz/canvas/canvas_scene.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "viz/canvas/controls.h"
#include "viz/canvas/math_text.h"
#include "viz/canvas/probe.h"
#include "viz/canvas/range_histogram.h"

namespace linscope::viz {

namespace {

constexpr float kMargin = 10;
constexpr float kBarHeight = 44;
constexpr float kToolsWidth = 312;
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
        if (m_model.page == CanvasPage::Maps) {
            m_maps.draw(corner, page);
            // A place is a share of the fitted view, which is known once maps and panes are.
            if (m_placePending && m_model.maps()) {
                m_placePending = false;
                m_model.view().setPlace(m_restoredPlace);
            }
        } else {
            m_projection.draw(corner, page);
        }
        // In a narrow canvas they lie over the page while they are asked for: maps alone would be left without them.
        if (toolsShown())
            drawTools({width - kMargin - kToolsWidth, kBarHeight}, {kToolsWidth, page.y});
        else if (m_model.page == CanvasPage::Maps)
            drawProbeAtMouse(m_host, m_model);
    }
    ImGui::PopFont();
    ImGui::End();
}

void CanvasScene::drawBar(ImVec2 corner, ImVec2 size) {
    const Theme& theme = m_host.theme();
    const std::array<std::string, 2> pages{"Maps", "Projection"};
    ImGui::SetCursorScreenPos({corner.x, corner.y + 9});
    int page = static_cast<int>(m_model.page);
    if (segments(m_host, "page", pages, page, 168)) {
        m_model.page = static_cast<CanvasPage>(page);
        if (m_model.onPage) m_model.onPage();
    }

    HeadChoice choice = m_model.choice();
    const auto snapshot = m_model.snapshot();
    const auto layers = numbers(snapshot ? static_cast<std::int64_t>(snapshot->layers.size()) : 1);
    const auto heads = numbers(snapshot ? snapshot->heads : 1);
    const auto samples = numbers(snapshot ? snapshot->samples : 1);
    ImGui::SetCursorScreenPos({corner.x + 184, corner.y + 9});
    const bool wide = size.x > 900;
    bool changed = choiceBox(m_host, "lane", m_model.lanes(), choice.lane, wide ? 170.0F : 110.0F);
    ImGui::SameLine(0, 14);
    changed = choiceBox(m_host, "layer", layers, choice.layer, 52) || changed;
    ImGui::SameLine(0, 14);
    changed = choiceBox(m_host, "head", heads, choice.head, 52) || changed;
    if (m_model.page == CanvasPage::Maps && size.x > 700) {
        ImGui::SameLine(0, 14);
        changed = choiceBox(m_host, "sample", samples, choice.sample, 52) || changed;
    }
    ImGui::SameLine(0, 14);
    const float used = ImGui::GetCursorScreenPos().x;
    if (changed) m_model.choose(choice);

    // Right: which step this is, and whether newer maps are on their way.
    const auto maps = m_model.maps();
    const Snapshot* shown = m_model.page == CanvasPage::Maps ? (maps ? maps->snapshot.get() : nullptr) : snapshot.get();
    const ImVec2 toggle{corner.x + size.x - 62, corner.y + 9};
    ImGui::SetCursorScreenPos(toggle);
    bool& wanted = m_room ? m_tools : m_toolsOver;
    if (ImGui::Button(toolsShown() ? "Tools ▸" : "◂ Tools", {62, 0})) wanted = !wanted;
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const Fonts& fonts = m_host.fonts();
    std::string step = shown ? fmt::format("step {}", shown->step) : std::string("no step yet");
    const float wideStep = textWidth(fonts.number, step);
    const float x = toggle.x - 16 - wideStep;
    if (x < used) return;
    drawText(list, fonts.number, {x, corner.y + 14.5F}, shown ? theme.text : theme.muted, step);
    if (!shown) return;
    const bool onMaps = m_model.page == CanvasPage::Maps;
    const bool current = !onMaps || maps->choice == m_model.choice();
    std::string note = current ? fmt::format("{}  ·", shown->mechanism) : "computing  ·";
    const std::string place = onMaps ? maps->routeSentence() : m_projection.place();
    const std::string whole = place.empty() ? note : fmt::format("{}  ·  {}", place, note);
    if (x - 8 - textWidth(fonts.text, whole) > used) note = whole;
    const float wideNote = textWidth(fonts.text, note);
    if (x - 8 - wideNote > used)
        drawText(list, fonts.text, {x - 8 - wideNote, corner.y + 13}, current ? theme.muted : theme.warn, note);
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
    if (m_model.page == CanvasPage::Maps)
        drawMapTools(width);
    else
        m_projection.drawTools(width);
    ImGui::EndChild();
}

void CanvasScene::drawMapTools(float width) {
    Colouring& colouring = m_model.colouring();
    sectionTitle(
        m_host, "Colour",
        "In one range exact and lifted map have equal colours for equal weights; apart, each fills a range of its own, "
        "as signed lifted maps do at first.\n\nSigned maps are symmetric about 0: linear is diverging there, and log, "
        "which has no place for what is negative, is arcsinh.\n\nMagenta is NaN, green +Inf, orange −Inf, on every "
        "scale.");
    static constexpr std::array kKinds{ScaleKind::Linear, ScaleKind::Log, ScaleKind::Arcsinh, ScaleKind::Diverging};
    const std::array<std::string, 4> kinds{"linear", "log", "arcsinh", "diverging"};
    int kind = static_cast<int>(std::find(kKinds.begin(), kKinds.end(), colouring.kind()) - kKinds.begin());
    if (segments(m_host, "scale", kinds, kind, width)) colouring.setKind(kKinds[static_cast<std::size_t>(kind)]);
    for (const bool diverging : {false, true}) {
        std::vector<std::string> names;
        std::vector<std::string> titles;
        for (const ColourMap& map : colourMaps())
            if (map.isDiverging() == diverging) {
                names.push_back(map.name());
                titles.push_back(map.title());
            }
        const std::string& current = diverging ? colouring.colours(RangeOf::Difference).name()
                                     : colouring.sequentialName().empty() ? defaultColourMap(false).name()
                                                                          : colouring.sequentialName();
        int index = static_cast<int>(std::find(names.begin(), names.end(), current) - names.begin());
        if (choiceBox(m_host, diverging ? "signed" : "weights", titles, index, width - 66, 66))
            colouring.setColours(names[static_cast<std::size_t>(index)]);
    }
    const auto set = m_model.maps();
    if (set) {
        const auto layer = [&](int index, bool filled) {
            return HistogramLayer{.statistics = &set->statistics[static_cast<std::size_t>(index)], .filled = filled};
        };
        const ImVec2 size{width, 70};
        ImGui::Dummy({0, 1});
        const auto range = [&](const char* id, RangeOf of, int index, const std::string& title) {
            if (!set->maps[static_cast<std::size_t>(index)]) return;
            sectionTitle(m_host, title,
                         "Heights are logarithmic. Drag a handle or the span between them; a right click fits the "
                         "range again. Values outside take the end colours.");
            std::vector<HistogramLayer> layers{layer(index, true)};
            if (of == RangeOf::Lifted && colouring.joint() && set->maps[0]) layers = {layer(0, true), layer(2, false)};
            rangeHistogram(m_host, id, of, colouring, layers, size);
        };
        bool joint = colouring.joint();
        if (set->maps[2] && ImGui::Checkbox("exact and lifted in one range", &joint)) colouring.setJoint(joint);
        if (!joint || !set->maps[2]) range("exact", RangeOf::Exact, 0, "Range of exact");
        range("lifted", RangeOf::Lifted, 2, joint ? "Range of exact (bars) and lifted (line)" : "Range of lifted");
        range("compressed", RangeOf::Compressed, 1, "Range of compressed");
        range("difference", RangeOf::Difference, 3, "Range of difference");
    }
    ImGui::Dummy({0, 2});
    drawProbe(m_host, m_model, width);
    ImGui::Dummy({0, 2});
    drawFidelity(m_host, m_model, width);
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
    if (m_model.page != CanvasPage::Maps || cursor.row < 0) return false;
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
    const bool maps = m_model.page == CanvasPage::Maps;
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
        case CanvasKey::Release:
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
            .page = m_model.page,
            .place = m_placePending ? m_restoredPlace : m_model.view().place(),
            .scale = std::string(scaleName(colouring.kind())),
            .sequential = colouring.sequentialName(),
            .diverging = colouring.divergingName(),
            .joint = colouring.chosenJoint(),
            .tools = m_tools};
}

void CanvasScene::restore(const CanvasSettings& settings) {
    m_model.restoreChoice(settings.choice);
    m_model.page = settings.page;
    m_tools = settings.tools;
    m_restoredPlace = settings.place;
    m_placePending = true;
    Colouring& colouring = m_model.colouring();
    colouring.restoreJoint(settings.joint);
    colouring.setKind(settings.scale.empty() ? ScaleKind::Linear : scaleKind(settings.scale));
    for (const std::string& name : {settings.sequential, settings.diverging})
        if (!name.empty()) colouring.setColours(name);
}

}  // namespace linscope::viz
