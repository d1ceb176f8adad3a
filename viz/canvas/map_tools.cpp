#include "viz/canvas/map_tools.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "viz/canvas/controls.h"
#include "viz/canvas/probe.h"
#include "viz/canvas/range_histogram.h"
#include "viz/heatmap/colour_map.h"

namespace linscope::viz {

namespace {

constexpr float kHistogram = 70, kLowHistogram = 44;  // logical pixels; one of several lanes is low

void drawColours(const ImGuiHost& host, Colouring& colouring, float width) {
    static constexpr std::array kKinds{ScaleKind::Linear, ScaleKind::Log, ScaleKind::Arcsinh, ScaleKind::Diverging};
    const std::array<std::string, 4> kinds{"linear", "log", "arcsinh", "diverging"};
    int kind = static_cast<int>(std::find(kKinds.begin(), kKinds.end(), colouring.kind()) - kKinds.begin());
    if (segments(host, "scale", kinds, kind, width)) colouring.setKind(kKinds[static_cast<std::size_t>(kind)]);
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
        if (choiceBox(host, diverging ? "signed" : "weights", titles, index, width - 66, 66))
            colouring.setColours(names[static_cast<std::size_t>(index)]);
    }
}

/// A histogram with its handles; the first layer is filled.
void drawRange(const ImGuiHost& host, Colouring& colouring, RangeOf range, const std::string& title,
               std::vector<HistogramLayer> layers, float width, float height = kHistogram) {
    if (layers.empty()) return;
    for (HistogramLayer& layer : layers) layer.filled = &layer == &layers.front();
    sectionTitle(host, title,
                 "Heights are logarithmic. Drag a handle or the span between them; a right click fits the "
                 "range again. Values outside take the end colours.");
    rangeHistogram(host, title.c_str(), range, colouring, layers, {width, height});
}

void drawRanges(const ImGuiHost& host, CanvasModel& model, float width) {
    const auto set = model.maps();
    if (!set) return;
    Colouring& colouring = model.colouring();
    const auto layers = [&](std::initializer_list<std::size_t> indices) {
        std::vector<HistogramLayer> found;
        for (const std::size_t index : indices)
            if (set->maps[index]) found.push_back({.statistics = &set->statistics[index]});
        return found;
    };
    bool joint = colouring.joint();
    if (set->maps[2] && ImGui::Checkbox("exact and lifted in one range", &joint)) colouring.setJoint(joint);
    if (joint && set->maps[2]) {
        drawRange(host, colouring, RangeOf::Lifted, "Range of exact (bars) and lifted (line)", layers({0, 2}), width);
    } else {
        drawRange(host, colouring, RangeOf::Exact, "Range of exact", layers({0}), width);
        drawRange(host, colouring, RangeOf::Lifted, "Range of lifted", layers({2}), width);
    }
    drawRange(host, colouring, RangeOf::Compressed, "Range of compressed", layers({1}), width);
    drawRange(host, colouring, RangeOf::Difference, "Range of difference", layers({3}), width);
}

void drawRangeOfEachLane(const ImGuiHost& host, CanvasModel& model, float width) {
    for (int lane = 0; lane < static_cast<int>(model.lanes().size()); ++lane) {
        const auto set = model.own(lane);
        ImGui::PushID(lane);  // two may have one name
        if (const int index = set ? set->ownIndex() : -1; index >= 0)
            drawRange(host, model.colouring(), rangeOfOneLane(lane),
                      "Range of " + model.lanes()[static_cast<std::size_t>(lane)],
                      {{.statistics = &set->statistics[static_cast<std::size_t>(index)]}}, width, kLowHistogram);
        ImGui::PopID();
    }
}

void drawLaneRanges(const ImGuiHost& host, CanvasModel& model, float width) {
    Colouring& colouring = model.colouring();
    static const std::array<std::string, 2> kRanges{"One range", "A range each"};
    int each = colouring.rangeEach() ? 1 : 0;
    if (model.lanes().size() > 1 && segments(host, "ranges", kRanges, each, width)) colouring.setRangeEach(each == 1);
    if (colouring.rangeEach()) return drawRangeOfEachLane(host, model, width);
    std::vector<HistogramLayer> weights, signedMaps;
    for (int lane = 0; lane < static_cast<int>(model.lanes().size()); ++lane) {
        const auto set = model.own(lane);
        const int index = set ? set->ownIndex() : -1;
        if (index < 0) continue;
        (set->maps[index]->isSigned ? signedMaps : weights).push_back({.statistics = &set->statistics[index]});
    }
    bool joint = colouring.joint();
    const bool both = !weights.empty() && !signedMaps.empty();
    if (both && ImGui::Checkbox("weights and signed maps in one range", &joint)) colouring.setJoint(joint);
    if (both && joint) {
        weights.insert(weights.end(), signedMaps.begin(), signedMaps.end());
        return drawRange(host, colouring, RangeOf::Lifted, "Range of all lanes", weights, width);
    }
    drawRange(host, colouring, RangeOf::Exact, both ? "Range of weights" : "Range of all lanes", weights, width);
    drawRange(host, colouring, RangeOf::Lifted, both ? "Range of signed maps" : "Range of all lanes", signedMaps,
              width);
}

}  // namespace

void drawMapTools(const ImGuiHost& host, CanvasModel& model, float width) {
    const bool lanes = model.page() == CanvasPage::Lanes;
    const std::string ofSigned =
        "\n\nSigned maps are symmetric about 0: linear is diverging there, and log, which has no place for what is "
        "negative, is arcsinh.\n\nMagenta is NaN, green +Inf, orange −Inf, on every scale.";
    sectionTitle(
        host, "Colour",
        (lanes ? "In one range the weights of all lanes have equal colours where they are equal: the comparison to "
                 "begin with. Signed maps (Linformer's) share another at first, since they can be much larger.\n\nWith "
                 "a range each a flat map shows what it is made of, but equal colours are no longer equal weights: the "
                 "range stands below each map."
               : "In one range exact and lifted map have equal colours for equal weights; apart, each fills a range of "
                 "its own, as signed lifted maps do at first.") +
            ofSigned);
    drawColours(host, model.colouring(), width);
    ImGui::Dummy({0, 1});
    lanes ? drawLaneRanges(host, model, width) : drawRanges(host, model, width);
    ImGui::Dummy({0, 2});
    drawProbe(host, model, width);
    if (lanes) return;  // fidelity is that of one lane
    ImGui::Dummy({0, 2});
    drawFidelity(host, model, width);
}

}  // namespace linscope::viz
