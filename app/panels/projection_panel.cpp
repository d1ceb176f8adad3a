#include "app/panels/projection_panel.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QSplitter>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>
#include <numbers>
#include <sstream>
#include <tuple>
#include <utility>

#include "app/panels/chart_figure.h"
#include "app/panels/run_marks.h"
#include "app/panels/scrolled.h"
#include "app/session/projection_csv.h"
#include "app/shell/theme.h"
#include "core/analysis/projection_health.h"

namespace linscope::app {

namespace {

constexpr int kRedrawMilliseconds = 300;

QColor startColor() {
    return mutedColor();
}
QColor overlapColor() {
    return laneColor(0);
}
QColor driftColor() {
    return laneColor(1);
}
QColor angleColor() {
    return laneColor(3);
}

void fill(QCPGraph* graph, const std::vector<std::int64_t>& steps, const std::vector<double>& values) {
    QVector<double> x, y;
    for (std::size_t i = 0; i < steps.size() && i < values.size(); ++i) {
        x.push_back(static_cast<double>(steps[i]));
        y.push_back(values[i]);
    }
    graph->setData(x, y, true);
}

void fill(QCPGraph* graph, const std::vector<float>& values) {
    QVector<double> x, y;
    for (std::size_t i = 0; i < values.size(); ++i) {
        x.push_back(static_cast<double>(i + 1));
        y.push_back(values[i]);
    }
    graph->setData(x, y, true);
}

const std::vector<double>& measure(const ProjectionSeries& series, const std::string& name) {
    static const std::vector<double> none;
    const auto found = series.measures.find(name);
    return found == series.measures.end() ? none : found->second;
}

QString at(const std::vector<double>& values, std::size_t index) {
    return index < values.size() ? QString::number(values[index], 'g', 3) : QString("–");
}

/// Standard deviation of the entries of a matrix of mean zero: ‖W‖²_F = Σσ² spread over K·T entries.
double deviation(const std::vector<float>& spectrum, std::int64_t slots, std::int64_t length) {
    double sum = 0;
    for (const float sigma : spectrum) sum += static_cast<double>(sigma) * sigma;
    return std::sqrt(sum / static_cast<double>(std::max<std::int64_t>(1, slots * length)));
}

bool belongsTo(const ProjectionSeries& series, int layer, int head) {
    return (series.layer < 0 || series.layer == layer) && (series.head < 0 || series.head == head);
}

}  // namespace

ProjectionPanel::ProjectionPanel(Session& session, QWidget* parent)
    : QWidget(parent),
      m_session(session),
      m_choice(new QComboBox),
      m_facts(new QLabel),
      m_splitter(new QSplitter(Qt::Vertical)),
      m_spectrum(new ChartFrame(tr("Spectrum σ"))),
      m_conditioning(new ChartFrame(tr("Conditioning κ"))),
      m_drift(new ChartFrame(tr("Drift"))),
      m_scroll(scrolled(m_splitter)) {
    m_choice->setToolTip(tr("Which projection matrix; it follows the layer and head that are selected in the canvas"));
    m_choice->setAccessibleName(tr("Projection matrix"));
    m_choice->setPlaceholderText(tr("choose a matrix"));
    m_choice->setSizeAdjustPolicy(QComboBox::AdjustToContents);
    m_facts->setProperty("muted", true);
    m_facts->setWordWrap(true);
    m_facts->setContentsMargins(8, 0, 8, 4);
    m_facts->setToolTip(
        tr("Stable rank ‖W‖²/σ₁² and effective rank exp(entropy of σ/Σσ); "
           "in brackets what an i.i.d. random matrix of this size has"));
    auto* row = new QHBoxLayout;
    row->setContentsMargins(6, 3, 6, 3);
    row->addWidget(m_choice);
    row->addStretch();
    m_export = exportButton([this](ChartFormat format) { askExport(format, nullptr); });
    row->addWidget(m_export);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addLayout(row);
    layout->addWidget(m_facts);
    layout->addWidget(m_scroll, 1);
    layout->addStretch();  // where the charts are hidden
    m_splitter->setChildrenCollapsible(false);
    m_spectrum->setAcross(tr("singular value, by size"));
    for (ChartFrame* frame : {m_spectrum, m_conditioning, m_drift}) {
        m_splitter->addWidget(frame);
        connect(frame, &ChartFrame::exportAsked, this,
                [this, frame](ChartFormat format, bool all) { askExport(format, all ? nullptr : frame); });
    }
    m_drift->setToolTip(
        tr("From step 0: ‖W−W₀‖/‖W₀‖; overlap of the row spaces (1/K)Σcos²θ; "
           "the largest principal angle as a share of 90°"));

    m_start = spectrum().addCurve({}, tr("step 0"));
    m_now = spectrum().addCurve({}, tr("now"));
    m_kappa = conditioning().addCurve({}, "κ");
    m_frobenius = drift().addCurve({}, tr("‖W−W₀‖/‖W₀‖"));
    m_overlap = drift().addCurve({}, tr("subspace overlap"));
    m_angle = drift().addCurve({}, tr("largest angle / 90°"));
    restyle();

    m_timer.setSingleShot(true);
    m_timer.setInterval(kRedrawMilliseconds);
    connect(&m_timer, &QTimer::timeout, this, &ProjectionPanel::update);
    connect(&session, &Session::runChanged, this, [this](int id) {
        if (id == m_session.selection().run) scheduleUpdate();
    });
    connect(&session, &Session::selectionChanged, this, [this] {
        fillChoices();
        const Selection& now = m_session.selection();
        const Selection before = std::exchange(m_followed, now);
        // A matrix that was chosen here stays while steps are gone through.
        if (std::tie(now.run, now.lane, now.layer, now.head) !=
            std::tie(before.run, before.lane, before.layer, before.head))
            followSelection();
        update();
    });
    connect(m_choice, &QComboBox::activated, this, [this] {
        for (ChartFrame* frame : {m_spectrum, m_conditioning, m_drift}) frame->chart().resetView();
        update();
    });
    update();
}

void ProjectionPanel::restyle() {
    m_start->setPen(QPen(startColor(), 1.4));
    m_now->setPen(QPen(driftColor(), 1.8));
    m_kappa->setPen(QPen(driftColor(), 1.6));
    m_frobenius->setPen(QPen(driftColor(), 1.6));
    m_overlap->setPen(QPen(overlapColor(), 1.6));
    m_angle->setPen(QPen(angleColor(), 1.6));
}

void ProjectionPanel::changeEvent(QEvent* event) {
    QWidget::changeEvent(event);
    if (!isNewLook(*event)) return;
    restyle();
    update();
}

bool ProjectionPanel::exportTo(const QString& path, ChartFormat format, const ChartFrame* only) {
    const Run* run = m_session.current();
    if (!run || !shown()) return false;
    if (format == ChartFormat::Csv) return exportTable(path, only);
    std::vector<ChartFrame*> frames;
    for (ChartFrame* frame : {m_spectrum, m_conditioning, m_drift})
        if (!only || frame == only) frames.push_back(frame);
    const QStringList notes{m_choice->currentText() + ": " + m_facts->text()};
    if (format == ChartFormat::Png)
        return chartPicture(captionOf(*run), {}, notes, only ? static_cast<QWidget&>(*frames.front()) : *m_splitter)
            .save(path, "PNG");
    const LightLook onPaper;
    return writeFigure(path, format, captionOf(*run), {}, notes, frames);
}

bool ProjectionPanel::exportTable(const QString& path, const ChartFrame* only) {
    const Run& run = *m_session.current();
    const auto lane = static_cast<std::size_t>(m_choice->currentData().toPoint().x());
    std::ostringstream text;
    writeProjectionCsv(text,
                       {.run = run.file.stem().string(),
                        .lane = run.record.lanes[lane].name,
                        .spectrum = !only || only == m_spectrum,
                        .conditioning = !only || only == m_conditioning,
                        .drift = !only || only == m_drift},
                       *shown());
    return writeText(path, text.str());
}

void ProjectionPanel::askExport(ChartFormat format, const ChartFrame* only) {
    const QString what = only == m_spectrum       ? "spectrum"
                         : only == m_conditioning ? "conditioning"
                         : only == m_drift        ? "drift"
                                                  : "projection";
    const QString path = askChartFile(this, m_session.current(), shownLabel() + "-" + what, format);
    if (!path.isEmpty()) tellExported(m_session, path, exportTo(path, format, only));
}

void ProjectionPanel::scheduleUpdate() {
    if (!m_timer.isActive()) m_timer.start();
}

void ProjectionPanel::fillChoices() {
    QStringList names;
    QList<QPoint> places;  // lane, index
    if (const Run* run = m_session.current())
        for (std::size_t lane = 0; lane < run->record.lanes.size(); ++lane)
            for (std::size_t i = 0; i < run->record.lanes[lane].projections.size(); ++i) {
                names << QString::fromStdString(run->record.lanes[lane].name + " · " +
                                                run->record.lanes[lane].projections[i].label);
                places << QPoint(static_cast<int>(lane), static_cast<int>(i));
            }
    QStringList present;
    for (int i = 0; i < m_choice->count(); ++i) present << m_choice->itemText(i);
    if (present == names) return;
    m_choice->clear();
    for (int i = 0; i < names.size(); ++i) {
        m_choice->addItem(names[i], places[i]);
        m_choice->setItemIcon(i, laneSwatch(places[i].x()));
    }
    followSelection();
}

void ProjectionPanel::followSelection() {
    const Run* run = m_session.current();
    if (!run || m_choice->count() == 0) return;
    const Selection& selection = m_session.selection();
    const QChar letter = shownLabel().isEmpty() ? QChar('E') : shownLabel().at(0);
    int best = -1, bestScore = -1;
    for (int i = 0; i < m_choice->count(); ++i) {
        const QPoint place = m_choice->itemData(i).toPoint();
        const ProjectionSeries& series = run->record.lanes[place.x()].projections[place.y()];
        if (place.x() != selection.lane || !belongsTo(series, selection.layer, selection.head)) continue;
        const int score = QString::fromStdString(series.label).startsWith(letter) ? 1 : 0;
        if (score > bestScore) {
            best = i;
            bestScore = score;
        }
    }
    m_choice->setCurrentIndex(best);  // −1: the matrix of another lane would be taken for this one's
}

const ProjectionSeries* ProjectionPanel::shown() const {
    const Run* run = m_session.current();
    if (!run || m_choice->currentIndex() < 0) return nullptr;
    const QPoint place = m_choice->currentData().toPoint();
    if (place.x() >= static_cast<int>(run->record.lanes.size())) return nullptr;
    const auto& projections = run->record.lanes[place.x()].projections;
    return place.y() < static_cast<int>(projections.size()) ? &projections[place.y()] : nullptr;
}

QString ProjectionPanel::shownLabel() const {
    const ProjectionSeries* series = shown();
    return series ? QString::fromStdString(series->label) : QString();
}

std::size_t ProjectionPanel::shownIndex(const ProjectionSeries& series) const {
    const auto& step = m_session.selection().step;
    if (!step) return series.steps.size() - 1;
    const auto after = std::upper_bound(series.steps.begin(), series.steps.end(), *step);
    return after == series.steps.begin() ? 0 : static_cast<std::size_t>(after - series.steps.begin()) - 1;
}

QString ProjectionPanel::absence() const {
    const Run* run = m_session.current();
    if (!run) return tr("No run is open");
    if (run->record.lastStep == 0) return tr("No projection has been probed in this run yet");
    const Selection& selection = m_session.selection();
    const auto& lanes = run->record.lanes;
    const bool known = selection.lane >= 0 && selection.lane < static_cast<int>(lanes.size());
    if (m_choice->count() == 0 || !known)
        return tr(
            "No lane of this run has a projection matrix, as Linformer's "
            "E and F are: spectrum, conditioning and drift would be here");
    const LaneRecord& lane = lanes[static_cast<std::size_t>(selection.lane)];
    const QString name = QString::fromStdString(lane.name);
    return lane.projections.empty()
               ? tr("The lane “%1” has no projection matrix, as Linformer's E and F are; those of other lanes can be "
                    "chosen above")
                     .arg(name)
               : tr("The lane “%1” has no projection matrix in layer %2, head %3; others can be chosen above")
                     .arg(name)
                     .arg(selection.layer)
                     .arg(selection.head);
}

void ProjectionPanel::update() {
    fillChoices();
    const ProjectionSeries* series = shown();
    const bool any = series && !series->steps.empty();
    m_scroll->setVisible(any);
    m_choice->setVisible(m_choice->count() > 0);
    m_export->setVisible(any);
    if (!any) {
        m_facts->setText(absence());
        return;
    }
    const std::size_t index = shownIndex(*series);
    drawSpectrum(*series, index);
    for (Chart* chart : {&conditioning(), &drift()}) chart->marks().set(runMarks(m_session.current()->record));
    drawConditioning(*series);
    drawDrift(*series);
    readOuts(*series, index);
    const double cursor = m_session.selection().step ? static_cast<double>(series->steps[index])
                                                     : std::numeric_limits<double>::quiet_NaN();
    conditioning().setCursor(cursor);
    drift().setCursor(cursor);
}

void ProjectionPanel::drawSpectrum(const ProjectionSeries& series, std::size_t index) {
    fill(m_now, series.spectrum[index]);
    m_now->setName(tr("step %1").arg(series.steps[index]));
    fill(m_start, series.spectrum.front());
    const RandomBaseline random = randomBaseline(series.slots, series.length);
    const double scale = deviation(series.spectrum[index], series.slots, series.length);
    spectrum().setBaselines({{tr("random, upper edge"), scale * random.largestSingular, {}},
                             {tr("random, lower edge"), scale * random.smallestSingular, {}}});
    spectrum().refresh();
}

void ProjectionPanel::drawConditioning(const ProjectionSeries& series) {
    fill(m_kappa, series.steps, measure(series, "condition_number"));
    const double random = randomBaseline(series.slots, series.length).conditionNumber;
    conditioning().setBaselines({{tr("random %1").arg(random, 0, 'g', 3), random, {}}});
    conditioning().refresh();
}

void ProjectionPanel::drawDrift(const ProjectionSeries& series) {
    fill(m_frobenius, series.steps, measure(series, "frobenius_drift"));
    fill(m_overlap, series.steps, measure(series, "subspace_overlap"));
    std::vector<double> angles;
    for (const auto& angle : series.angles)
        angles.push_back(angle.empty() ? std::numeric_limits<double>::quiet_NaN()
                                       : angle.back() * 2 / std::numbers::pi);
    fill(m_angle, series.steps, angles);
    const double overlap = randomBaseline(series.slots, series.length).overlap;
    drift().setBaselines({{tr("overlap of unrelated subspaces %1").arg(overlap, 0, 'g', 3), overlap, overlapColor()}});
    drift().refresh();
}

void ProjectionPanel::readOuts(const ProjectionSeries& series, std::size_t index) {
    const RandomBaseline random = randomBaseline(series.slots, series.length);
    const QString step = tr("step %1").arg(series.steps[index]);
    m_facts->setText(tr("%1 × %2 · stable rank %3 (random %4) · effective rank %5 (random %6)")
                         .arg(series.slots)
                         .arg(series.length)
                         .arg(at(measure(series, "stable_rank"), index))
                         .arg(random.stableRank, 0, 'g', 3)
                         .arg(at(measure(series, "effective_rank"), index))
                         .arg(random.effectiveRank, 0, 'g', 3));
    const auto& sigma = series.spectrum[index];
    std::vector<ReadOut> spectrumValues{{startColor(), tr("step 0"), {}}};
    if (!sigma.empty())
        spectrumValues.push_back(
            {driftColor(), step, tr("%1 … %2").arg(sigma.front(), 0, 'g', 3).arg(sigma.back(), 0, 'g', 3)});
    m_spectrum->setReadOut({}, spectrumValues);
    m_conditioning->setReadOut(step, {{driftColor(), "κ", at(measure(series, "condition_number"), index)}});
    const QString angle = series.angles[index].empty()
                              ? QString("–")
                              : QString::number(series.angles[index].back() * 180 / std::numbers::pi, 'f', 1) + "°";
    m_drift->setReadOut({}, {{driftColor(), tr("‖ΔW‖"), at(measure(series, "frobenius_drift"), index)},
                             {overlapColor(), tr("overlap"), at(measure(series, "subspace_overlap"), index)},
                             {angleColor(), tr("angle"), angle}});
}

}  // namespace linscope::app
