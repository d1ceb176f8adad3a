#include "app/panels/chart_lanes.h"

#include <algorithm>
#include <array>

#include "app/runs/going_on.h"
#include "app/shell/theme.h"

namespace linscope::app {

namespace {

constexpr int kColours = 6;

/// Of the n-th laid-over run: lighter or darker than the curve on which it may lie, by a percentage of its lightness.
QPen overlayPen(const QColor& color, std::size_t n) {
    static const std::array<QVector<qreal>, 4> patterns{QVector<qreal>{5, 3}, QVector<qreal>{1.5, 2.5},
                                                        QVector<qreal>{8, 3, 1.5, 3}, QVector<qreal>{2.5, 1.5}};
    static constexpr std::array kTints{0.45, -0.4, 0.6, -0.2};
    const double tint = (look() == Look::Dark ? 1 : -1) * kTints[n % kTints.size()];
    const auto tinted = [tint](int part) {
        return static_cast<int>(tint > 0 ? part + tint * (255 - part) : part * (1 + tint));
    };
    QPen pen(QColor(tinted(color.red()), tinted(color.green()), tinted(color.blue())), 1.4);
    pen.setDashPattern(patterns[n % patterns.size()]);
    pen.setCapStyle(Qt::FlatCap);
    return pen;
}

/// A laid-over run that is seen, under the name that people read.
struct Laid {
    const Overlay& overlay;
    QString name, file;
    bool otherTask = false;
};

QString stemOf(const std::filesystem::path& file) {
    return QString::fromStdString(file.stem().string());
}

QString inFolder(const std::filesystem::path& file) {
    return QString::fromStdString((file.parent_path().filename() / file.stem()).string());
}

std::vector<Laid> laidOver(const Run* run, const std::vector<Overlay>& overlays) {
    QStringList titles, stems;
    if (run) titles << QString::fromStdString(run->record.experiment.title);
    if (run) stems << stemOf(run->file);
    std::vector<Laid> laid;
    for (const Overlay& overlay : overlays) {
        if (run && run->file == overlay.file) continue;
        const Experiment& experiment = overlay.record.experiment;
        laid.push_back({overlay, QString::fromStdString(experiment.title), stemOf(overlay.file),
                        run && run->record.experiment.task.name != experiment.task.name});
        titles << laid.back().name;
        stems << laid.back().file;
    }
    for (Laid& one : laid) {
        if (stems.count(one.file) > 1) one.file = inFolder(one.overlay.file);
        if (one.name.isEmpty() || titles.count(one.name) > 1) one.name = one.file;
    }
    return laid;
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

/// What differs between the two runs' tasks: "length 256 in place of 512"; empty: nothing.
QString taskDifference(const Experiment& laid, const Experiment& shown) {
    QStringList all;
    const auto fields = fieldsOf(shown);
    for (const ExperimentField& field : fieldsOf(laid)) {
        if (field.section != "task") continue;
        const auto same = std::ranges::find(fields, field.key, &ExperimentField::key);
        if (same == fields.end() || same->value == field.value) continue;
        all << QObject::tr("%1 %2 in place of %3")
                   .arg(QString::fromStdString(field.spec.name), QString::fromStdString(toPlainText(field.value)),
                        QString::fromStdString(toPlainText(same->value)));
    }
    return all.join(", ");
}

}  // namespace

std::vector<ChartLane> chartLanes(const Run* run, const std::vector<Overlay>& overlays) {
    std::vector<ChartLane> all;
    const std::vector<LaneRecord> none;
    const std::vector<LaneRecord>& lanes = run ? run->record.lanes : none;
    for (std::size_t i = 0; i < lanes.size(); ++i)
        all.push_back({&lanes[i], QPen(laneColor(static_cast<int>(i)), 1.8), QString::fromStdString(lanes[i].name), 0,
                       stemOf(run->file), QString::fromStdString(run->record.experiment.task.name)});
    std::size_t shown = 0;
    for (const Laid& laid : laidOver(run, overlays)) {
        const RunRecord& record = laid.overlay.record;
        const QString task = QString::fromStdString(record.experiment.task.name);
        const std::vector<int> colours = coloursOf(record.lanes, lanes);
        for (std::size_t i = 0; i < colours.size(); ++i)
            all.push_back({&record.lanes[i], overlayPen(laneColor(colours[i]), shown),
                           laid.name + " / " + QString::fromStdString(record.lanes[i].name) +
                               (laid.otherTask ? " · " + task : QString()),
                           laid.overlay.id, laid.file, task});
        ++shown;
    }
    return all;
}

QStringList overlayNotes(const Run* run, const std::vector<Overlay>& overlays) {
    QStringList notes;
    if (!run) return notes;
    const Experiment& shown = run->record.experiment;
    for (const Laid& laid : laidOver(run, overlays)) {
        Experiment other = laid.overlay.record.experiment;
        if (laid.otherTask) {
            notes << QObject::tr("“%1” has another task: %2 does not compare with %3.")
                         .arg(laid.name, QString::fromStdString(other.task.name),
                              QString::fromStdString(shown.task.name));
        } else if (const QString difference = taskDifference(other, shown); !difference.isEmpty()) {
            notes << QObject::tr("“%1” has %2.").arg(laid.name, difference);
        } else {
            other.title = shown.title;
            if (!firstDifference(other, shown))
                notes << QObject::tr("“%1” is the same experiment: dashes on a curve say that both agree.")
                             .arg(laid.name);
        }
    }
    return notes;
}

}  // namespace linscope::app
