#include "app/panels/chart_lanes.h"

#include <algorithm>
#include <array>

#include "app/shell/theme.h"

namespace linscope::app {

namespace {

constexpr int kColours = 6;
constexpr double kDimmed = 0.8;

/// Of the n-th laid-over run.
QPen overlayPen(QColor color, std::size_t n) {
    static const std::array<QVector<qreal>, 4> patterns{QVector<qreal>{5, 3}, QVector<qreal>{1.5, 2.5},
                                                        QVector<qreal>{8, 3, 1.5, 3}, QVector<qreal>{2.5, 1.5}};
    color.setAlphaF(kDimmed);
    QPen pen(color, 1.4);
    pen.setDashPattern(patterns[n % patterns.size()]);
    pen.setCapStyle(Qt::FlatCap);
    return pen;
}

bool hasTitle(const Run* run, const std::string& title) {
    return run && run->record.experiment.title == title;
}

QString nameOf(const Overlay& overlay, const Run* run, const std::vector<Overlay>& overlays) {
    const std::string& title = overlay.record.experiment.title;
    const auto same = std::count_if(overlays.begin(), overlays.end(),
                                    [&](const Overlay& other) { return other.record.experiment.title == title; });
    const bool tells = !title.empty() && same == 1 && !hasTitle(run, title);
    return QString::fromStdString(tells ? title : overlay.file.stem().string());
}

/// The colour of each laid-over lane: that of the run's lane of the same name, else one that neither run has, else one
/// that its own run does not have.
std::vector<int> coloursOf(const std::vector<LaneRecord>& laid, const std::vector<LaneRecord>& lanes) {
    std::vector<int> colours(laid.size(), -1);
    for (std::size_t i = 0; i < laid.size(); ++i)
        for (std::size_t j = 0; j < lanes.size(); ++j)
            if (laid[i].name == lanes[j].name) colours[i] = static_cast<int>(j);
    const auto taken = [&](int color) { return std::find(colours.begin(), colours.end(), color) != colours.end(); };
    for (int& color : colours) {
        if (color >= 0) continue;
        int free = static_cast<int>(lanes.size());
        while (free < kColours && taken(free)) ++free;
        if (free >= kColours) free = 0;
        while (free < kColours && taken(free)) ++free;
        color = free % kColours;
    }
    return colours;
}

}  // namespace

std::vector<ChartLane> chartLanes(const Run* run, const std::vector<Overlay>& overlays) {
    std::vector<ChartLane> all;
    const std::vector<LaneRecord> none;
    const std::vector<LaneRecord>& lanes = run ? run->record.lanes : none;
    for (std::size_t i = 0; i < lanes.size(); ++i)
        all.push_back(
            {&run->record.lanes[i], QPen(laneColor(static_cast<int>(i)), 1.8), QString::fromStdString(lanes[i].name)});
    std::size_t shown = 0;
    for (const Overlay& overlay : overlays) {
        if (run && run->file == overlay.file) continue;
        const QString name = nameOf(overlay, run, overlays);
        const std::vector<int> colours = coloursOf(overlay.record.lanes, lanes);
        for (std::size_t i = 0; i < colours.size(); ++i) {
            const LaneRecord& lane = overlay.record.lanes[i];
            all.push_back({&lane, overlayPen(laneColor(colours[i]), shown),
                           name + " / " + QString::fromStdString(lane.name), overlay.id});
        }
        ++shown;
    }
    return all;
}

}  // namespace linscope::app
