#include "app/panels/metrics_panel.h"

#include <QCursor>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QSlider>
#include <QSplitter>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>
#include <sstream>

#include "app/panels/chart_figure.h"
#include "app/panels/run_marks.h"
#include "app/panels/scrolled.h"
#include "app/panels/value_box.h"
#include "app/session/metrics_csv.h"
#include "app/shell/theme.h"
#include "core/data/task.h"

namespace linscope::app {

namespace {

constexpr int kRedrawMilliseconds = 250;

QString valueText(const std::string& metric, double value) {
    if (std::isnan(value)) return "NaN";
    if (metric == "memory_bytes") return QObject::tr("%1 MiB").arg(value / 1048576, 0, 'f', 1);
    if (metric == "tokens_per_second") return QString("%L1").arg(value, 0, 'f', 0);
    if (metric.ends_with("accuracy")) return QObject::tr("%1 %").arg(100 * value, 0, 'f', 1);
    return QString::number(value, 'g', 4);
}

/// Index of the measurement nearest to `step`.
std::size_t nearest(const Series& series, double step) {
    const auto at = std::lower_bound(series.steps.begin(), series.steps.end(), step,
                                     [](std::int64_t a, double b) { return static_cast<double>(a) < b; });
    if (at == series.steps.begin()) return 0;
    if (at == series.steps.end()) return series.steps.size() - 1;
    const auto after = static_cast<std::size_t>(at - series.steps.begin());
    return step - static_cast<double>(series.steps[after - 1]) < static_cast<double>(*at) - step ? after - 1 : after;
}

QToolButton* toggle(const QString& text, const QString& help) {
    auto* button = new QToolButton;
    button->setText(text);
    button->setCheckable(true);
    button->setToolTip(help);
    button->setAccessibleName(help);
    return button;
}

}  // namespace

MetricsPanel::MetricsPanel(Session& session, QWidget* parent)
    : QWidget(parent),
      m_session(session),
      m_legend(new Legend),
      m_notes(new QLabel),
      m_box(new ValueBox(this)),
      m_splitter(new QSplitter(Qt::Vertical)) {
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(makeControls());
    layout->addWidget(m_legend);
    layout->addWidget(m_notes);
    layout->addWidget(scrolled(m_splitter), 1);
    m_splitter->setChildrenCollapsible(false);
    QFont small = m_notes->font();
    small.setPointSizeF(8.5);
    m_notes->setFont(small);
    m_notes->setProperty("muted", true);
    m_notes->setTextFormat(Qt::PlainText);
    m_notes->setWordWrap(true);
    m_notes->setContentsMargins(8, 0, 8, 4);
    connect(m_legend, &Legend::overlayClicked, this, &MetricsPanel::offerToRemove);

    m_timer.setSingleShot(true);
    m_timer.setInterval(kRedrawMilliseconds);
    connect(&m_timer, &QTimer::timeout, this, &MetricsPanel::update);
    connect(&session, &Session::runChanged, this, [this](int id) {
        if (id == m_session.selection().run) scheduleUpdate();
    });
    connect(&session, &Session::selectionChanged, this, [this] {
        if (m_session.selection().run != m_run) update();
    });
    connect(&session.overlays(), &Overlays::changed, this, &MetricsPanel::update);
    setMetrics({"loss", "validation_bits_per_byte"});
    setSmoothing(0.6);
}

void MetricsPanel::changeEvent(QEvent* event) {
    QWidget::changeEvent(event);
    if (isNewLook(*event)) update();  // lanes have other colours
}

QWidget* MetricsPanel::makeControls() {
    m_chooser = new QToolButton;
    m_chooser->setText(tr("Metrics"));
    m_chooser->setPopupMode(QToolButton::InstantPopup);
    m_chooser->setToolTip(tr("Which metrics are drawn"));
    auto* menu = new QMenu(m_chooser);
    for (const MetricInfo& info : knownMetrics()) {
        const std::string name(info.name);
        QAction* action = menu->addAction(QString::fromStdString(metricTitle(name)));
        action->setCheckable(true);
        m_choices[name] = action;
        connect(action, &QAction::toggled, this, [this] {
            if (!m_restoring) setMetrics(shownMetrics());
        });
    }
    m_chooser->setMenu(menu);

    m_smoothing = new QSlider(Qt::Horizontal);
    m_smoothing->setRange(0, 99);
    m_smoothing->setMaximumWidth(130);
    m_smoothing->setToolTip(
        tr("Smoothing: weight of the past in an exponential moving average; "
           "the raw curve stays behind it; validations are never smoothed"));
    m_smoothing->setAccessibleName(tr("Smoothing"));
    m_smoothingText = new QLabel;
    m_smoothingText->setMinimumWidth(28);
    connect(m_smoothing, &QSlider::valueChanged, this, [this](int value) {
        m_smoothingText->setText(QString::number(value / 100.0, 'f', 2));
        for (const auto& plot : m_plots)
            for (const auto& curve : plot->curves) curve->setSmoothing(smoothingOf(plot->metric));
        update();
    });

    m_logX = toggle(tr("log x"), tr("Logarithmic steps"));
    m_logY = toggle(tr("log y"), tr("Logarithmic values"));
    for (QToolButton* button : {m_logX, m_logY})
        connect(button, &QToolButton::toggled, this, &MetricsPanel::setLogarithmic);

    auto* controls = new QWidget;
    auto* row = new QHBoxLayout(controls);
    row->setContentsMargins(6, 3, 6, 3);
    row->setSpacing(6);
    row->addWidget(m_chooser);
    auto* label = new QLabel(tr("Smoothing"));
    label->setProperty("muted", true);
    row->addWidget(label);
    row->addWidget(m_smoothing, 1);
    row->addWidget(m_smoothingText);
    row->addStretch();
    row->addWidget(m_logX);
    row->addWidget(m_logY);
    row->addWidget(exportButton([this](ChartFormat format) { askExport(format); }));
    return controls;
}

QStringList MetricsPanel::shownMetrics() const {
    QStringList names;
    for (const MetricInfo& info : knownMetrics()) {
        const std::string name(info.name);
        if (m_choices.at(name)->isChecked()) names << QString::fromStdString(name);
    }
    return names;
}

void MetricsPanel::setMetrics(const QStringList& names) {
    m_metrics = names;
    showMetrics();
    update();
}

void MetricsPanel::showMetrics() {
    QStringList names = m_metrics;
    if (!m_bytes)
        for (QString& name : names)
            if (name == "validation_bits_per_byte") name = "validation_accuracy";
    m_restoring = true;
    for (const auto& [name, action] : m_choices) action->setChecked(names.contains(QString::fromStdString(name)));
    m_restoring = false;
    std::erase_if(m_plots, [&](const std::unique_ptr<Plot>& plot) {
        if (names.contains(QString::fromStdString(plot->metric))) return false;
        plot->curves.clear();
        delete plot->frame;
        return true;
    });
    for (const QString& name : shownMetrics())
        if (!frame(name)) addPlot(name.toStdString());
}

ChartFrame* MetricsPanel::frame(const QString& metric) {
    for (const auto& plot : m_plots)
        if (plot->metric == metric.toStdString()) return plot->frame;
    return nullptr;
}

void MetricsPanel::addPlot(const std::string& metric) {
    auto plot = std::make_unique<Plot>();
    plot->metric = metric;
    plot->frame = new ChartFrame(QString::fromStdString(metricTitle(metric)));
    plot->frame->chart().setLogarithmic(m_logX->isChecked(), m_logY->isChecked());
    connect(&plot->frame->chart(), &Chart::hovered, this,
            [this, shown = plot.get()](double step) { showCursor(*shown, step); });
    connect(plot->frame, &ChartFrame::exportAsked, this, [this, metric](ChartFormat format, bool all) {
        askExport(format, all ? QString() : QString::fromStdString(metric));
    });
    m_splitter->addWidget(plot->frame);
    m_plots.push_back(std::move(plot));
}

double MetricsPanel::smoothingOf(const std::string& metric) const {
    // Validations are few and each is a mean already: smoothed, they would lag behind their baseline.
    return metric.starts_with("validation_") ? 0 : smoothing();
}

double MetricsPanel::smoothing() const {
    return m_smoothing->value() / 100.0;
}
void MetricsPanel::setSmoothing(double weight) {
    m_smoothing->setValue(static_cast<int>(std::lround(weight * 100)));
}

void MetricsPanel::setLogarithmic() {
    for (const auto& plot : m_plots) plot->frame->chart().setLogarithmic(m_logX->isChecked(), m_logY->isChecked());
}

void MetricsPanel::scheduleUpdate() {
    if (!m_timer.isActive()) m_timer.start();
}

void MetricsPanel::update() {
    const Run* run = m_session.current();
    const std::vector<ChartLane> lanes = this->lanes();
    Shown shown;
    for (const ChartLane& lane : lanes) shown.push_back({lane.pen, lane.name, lane.overlay});
    const int id = m_session.selection().run;
    const bool another = std::exchange(m_run, id) != id;
    const bool others = std::exchange(m_shown, shown) != shown;
    m_legend->setEntries(std::move(shown));
    m_notes->setText(notes().join('\n'));
    m_notes->setVisible(!m_notes->text().isEmpty());
    const bool bytes = !run || findTask(run->record.experiment.task.name).predictsBytes;
    if (std::exchange(m_bytes, bytes) != bytes) showMetrics();
    for (const auto& plot : m_plots) {
        Chart& chart = plot->frame->chart();
        if (another || others) plot->curves.clear();
        drawCurves(*plot, lanes);
        if (another) chart.resetView();
        std::vector<Chart::Baseline> baselines;
        if (run)
            for (const TaskBaseline& baseline : run->record.baselines)
                if (baseline.metric == plot->metric)
                    baselines.push_back(
                        {QString::fromStdString(baseline.name) + QString(" %1").arg(baseline.value, 0, 'f', 2),
                         baseline.value,
                         {}});
        chart.setBaselines(std::move(baselines));
        chart.marks().set(run ? runMarks(run->record) : std::vector<ChartMark>());
        chart.refresh();
        readOut(*plot, lanes, chart.cursor());
    }
}

void MetricsPanel::drawCurves(Plot& plot, const std::vector<ChartLane>& lanes) {
    if (plot.curves.size() != lanes.size()) {
        plot.curves.clear();
        plot.curves.resize(lanes.size());
        const auto add = [&](std::size_t i) {
            plot.curves[i] = std::make_unique<LaneCurve>(plot.frame->chart(), lanes[i].pen, lanes[i].name);
            plot.curves[i]->setSmoothing(smoothingOf(plot.metric));
        };
        // The first lane lies above the others, which it is compared with, and dashes above all.
        const auto own = static_cast<std::size_t>(std::ranges::count(lanes, 0, &ChartLane::overlay));
        for (std::size_t i = own; i-- > 0;) add(i);
        for (std::size_t i = own; i < lanes.size(); ++i) add(i);
    }
    for (std::size_t i = 0; i < lanes.size(); ++i)
        if (const Series* series = findSeries(*lanes[i].record, plot.metric)) plot.curves[i]->update(*series);
}

void MetricsPanel::showCursor(const Plot& pointed, double step) {
    const std::vector<ChartLane> lanes = this->lanes();
    for (const auto& plot : m_plots) {
        plot->frame->chart().setCursor(step);
        readOut(*plot, lanes, step);
    }
    showValues(pointed, lanes, step);
}

void MetricsPanel::showValues(const Plot& pointed, const std::vector<ChartLane>& lanes, double step) {
    std::vector<ValueBox::Line> lines;
    std::int64_t place = -1;
    if (!std::isnan(step))
        for (const ChartLane& lane : lanes) {
            const Series* series = findSeries(*lane.record, pointed.metric);
            if (!series || series->values.empty()) continue;
            const std::size_t at = nearest(*series, step);
            // A shorter run has no value there, and its last one would pass for it.
            const bool ended = step > static_cast<double>(series->steps.back()) && at + 1 == series->steps.size();
            lines.push_back(
                {lane.pen, lane.name,
                 ended ? tr("ended at %1").arg(series->steps.back()) : valueText(pointed.metric, series->values[at])});
            if (place < 0 || !ended) place = series->steps[at];
        }
    if (lines.empty()) return m_box->hide();
    QString head = tr("step %1").arg(place);
    const QString mark = pointed.frame->chart().marks().textNear(step);
    if (!mark.isEmpty()) head += " · " + mark;
    m_box->showAt(mapFromGlobal(QCursor::pos()), head, std::move(lines));
}

void MetricsPanel::readOut(Plot& plot, const std::vector<ChartLane>& lanes, double step) {
    std::vector<ReadOut> values;
    QString place;
    for (const ChartLane& lane : lanes) {
        const Series* series = findSeries(*lane.record, plot.metric);
        if (lane.overlay || !series || series->values.empty()) continue;
        const std::size_t at = std::isnan(step) ? series->values.size() - 1 : nearest(*series, step);
        values.push_back({lane.pen.color(), {}, valueText(plot.metric, series->values[at])});
        if (!std::isnan(step)) place = tr("step %1").arg(series->steps[at]);
    }
    plot.frame->setReadOut(place, values);
}

void MetricsPanel::offerToRemove(int overlay, const QPoint& position) {
    Overlays& overlays = m_session.overlays();
    QMenu menu;
    for (const Overlay& one : overlays.all()) {
        if (one.id != overlay) continue;
        const QString file = QString::fromStdString(one.file.string());
        menu.addAction(tr("Take %1 away").arg(QFileInfo(file).fileName()), this,
                       [&overlays, overlay] { overlays.remove(overlay); });
        menu.addAction(tr("Read its file again"), this, [&overlays, file] { overlays.lay(file); });
    }
    menu.addAction(tr("Take all laid-over runs away"), &overlays, &Overlays::clear);
    menu.exec(position);
}

bool MetricsPanel::exportTo(const QString& path, ChartFormat format, const QString& metric) {
    std::vector<const Plot*> plots;
    for (const auto& plot : m_plots)
        if (metric.isEmpty() || plot->metric == metric.toStdString()) plots.push_back(plot.get());
    if (plots.empty()) return false;
    if (format == ChartFormat::Csv) return exportTable(path, plots);
    const Run* run = m_session.current();
    const ChartCaption caption = run ? captionOf(*run) : ChartCaption();
    QStringList notes = this->notes();
    if (std::ranges::any_of(plots, [this](const Plot* plot) { return smoothingOf(plot->metric) > 0; }))
        notes << tr("Smoothed with the weight %1; measured values are faint behind.").arg(smoothing());
    if (format == ChartFormat::Png) {
        QWidget& charts = metric.isEmpty() ? static_cast<QWidget&>(*m_splitter) : *plots.front()->frame;
        return chartPicture(caption, m_shown, notes, charts).save(path, "PNG");
    }
    const LightLook onPaper;
    std::vector<ChartFrame*> frames;
    for (const Plot* plot : plots) frames.push_back(plot->frame);
    return writeFigure(path, format, caption, m_shown, notes, frames);
}

bool MetricsPanel::exportTable(const QString& path, const std::vector<const Plot*>& plots) {
    std::vector<RunLane> rows;
    for (const ChartLane& lane : lanes())
        rows.push_back({lane.run.toStdString(), lane.task.toStdString(), lane.record});
    if (rows.empty()) return false;
    std::vector<std::string> names;
    for (const Plot* plot : plots) names.push_back(plot->metric);
    std::ostringstream text;
    writeMetricsCsv(text, rows, names);
    return writeText(path, text.str());
}

void MetricsPanel::askExport(ChartFormat format, const QString& metric) {
    const QString path = askChartFile(this, m_session.current(), metric.isEmpty() ? "metrics" : metric, format);
    if (!path.isEmpty()) tellExported(m_session, path, exportTo(path, format, metric));
}

QVariantMap MetricsPanel::saveState() const {
    return {{"metrics", m_metrics},
            {"smoothing", smoothing()},
            {"logX", m_logX->isChecked()},
            {"logY", m_logY->isChecked()},
            {"splitter", m_splitter->saveState()}};
}

void MetricsPanel::restoreState(const QVariantMap& state) {
    if (state.contains("metrics")) setMetrics(state["metrics"].toStringList());
    if (state.contains("smoothing")) setSmoothing(state["smoothing"].toDouble());
    m_logX->setChecked(state.value("logX").toBool());
    m_logY->setChecked(state.value("logY").toBool());
    m_splitter->restoreState(state["splitter"].toByteArray());
}

}  // namespace linscope::app
