#include "app/panels/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "app/shell/theme.h"

namespace linscope::app {

namespace {

void styleAxis(QCPAxis* axis) {
    QFont font = QApplication::font();
    font.setPointSizeF(8);
    axis->setBasePen(QPen(axisColor()));
    axis->setTickPen(QPen(axisColor()));
    axis->setSubTickPen(QPen(gridColor()));
    axis->setTickLabelColor(mutedColor());
    axis->setTickLabelFont(font);
    axis->setLabelColor(mutedColor());
    axis->setLabelFont(font);
    axis->setLabelPadding(1);
    axis->setTickLabelPadding(3);
    axis->grid()->setPen(QPen(gridColor(), 1, Qt::SolidLine));
    axis->grid()->setZeroLinePen(Qt::NoPen);
}

/// Ticks of what is counted: steps, singular values.
class CountTicker : public QCPAxisTicker {
protected:
    double getTickStep(const QCPRange& range) override {
        return std::max(1.0, std::floor(QCPAxisTicker::getTickStep(range)));
    }
    int getSubTickCount(double tickStep) override {
        return tickStep > 1 ? QCPAxisTicker::getSubTickCount(tickStep) : 0;
    }
};

}  // namespace

Chart::Chart(QWidget* parent) : QCustomPlot(parent), m_cursor(std::numeric_limits<double>::quiet_NaN()) {
    for (QCPAxis* axis : {xAxis, yAxis}) axis->setNumberPrecision(3);
    xAxis->setNumberPrecision(8);  // steps are counted: 12000, not 1.2·10⁴
    for (QCPAxis* axis : {xAxis, yAxis}) setScale(axis, false);
    axisRect()->setupFullAxesBox(false);
    for (QCPAxis* axis : {xAxis2, yAxis2}) {
        axis->setTicks(false);
        axis->setTickLabels(false);
    }
    axisRect()->setMinimumMargins(QMargins(34, 6, 8, 24));
    setInteractions(QCP::iRangeDrag | QCP::iRangeZoom);
    setNoAntialiasingOnDrag(true);
    setMinimumSize(120, 90);
    setFocusPolicy(Qt::ClickFocus);

    m_marks = new ChartMarks(*this);
    m_cursorLine = new QCPItemStraightLine(this);
    m_cursorLine->setSelectable(false);
    m_cursorLine->setVisible(false);
    for (QCPItemPosition* point : {m_cursorLine->point1, m_cursorLine->point2}) {
        point->setTypeX(QCPItemPosition::ptPlotCoords);
        point->setTypeY(QCPItemPosition::ptAxisRectRatio);
    }
    restyle();

    connect(this, &QCustomPlot::mouseWheel, this, [this] { m_followsData = false; });
    connect(this, &QCustomPlot::mouseDoubleClick, this, [this] { resetView(); });
    connect(this, &QCustomPlot::mouseMove, this, [this](QMouseEvent* event) {
        if (event->buttons() & Qt::LeftButton) m_followsData = false;
        Q_EMIT hovered(axisRect()->rect().contains(event->pos()) ? xAxis->pixelToCoord(event->position().x())
                                                                 : std::numeric_limits<double>::quiet_NaN());
    });
}

void Chart::restyle() {
    setBackground(QBrush(plotColor()));
    for (QCPAxis* axis : {xAxis, yAxis}) styleAxis(axis);
    for (QCPAxis* axis : {xAxis2, yAxis2}) axis->setBasePen(QPen(gridColor()));
    m_cursorLine->setPen(QPen(mutedColor(), 1));
    m_marks->restyle();
    drawBaselines();
}

void Chart::changeEvent(QEvent* event) {
    QCustomPlot::changeEvent(event);
    if (!isNewLook(*event)) return;
    restyle();
    replot(QCustomPlot::rpQueuedReplot);
}

void Chart::leaveEvent(QEvent* event) {
    QCustomPlot::leaveEvent(event);
    Q_EMIT hovered(std::numeric_limits<double>::quiet_NaN());
}

void Chart::setLabels(const QString& x, const QString& y) {
    xAxis->setLabel(x);
    yAxis->setLabel(y);
}

void Chart::setScale(QCPAxis* axis, bool logarithmic) {
    axis->setScaleType(logarithmic ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
    QSharedPointer<QCPAxisTicker> ticker;
    if (logarithmic)
        ticker.reset(new QCPAxisTickerLog);
    else if (axis == xAxis)
        ticker.reset(new CountTicker);
    else
        ticker.reset(new QCPAxisTicker);
    ticker->setTickCount(axis == xAxis ? 6 : 4);
    axis->setTicker(ticker);
}

void Chart::setLogarithmic(bool x, bool y) {
    setScale(xAxis, x);
    setScale(yAxis, y);
    resetView();
}

QCPGraph* Chart::addCurve(const QPen& pen, const QString& name) {
    QCPGraph* graph = addGraph();
    graph->setPen(pen);
    graph->setName(name);
    graph->setAdaptiveSampling(true);
    return graph;
}

void Chart::setBaselines(std::vector<Baseline> baselines) {
    m_baselines = std::move(baselines);
    drawBaselines();
}

void Chart::drawBaselines() {
    while (m_lines.size() > m_baselines.size()) {
        removeItem(m_lines.back());
        removeItem(m_names.back());
        m_lines.pop_back();
        m_names.pop_back();
    }
    while (m_lines.size() < m_baselines.size()) {
        m_lines.push_back(new QCPItemStraightLine(this));
        m_lines.back()->setSelectable(false);
        for (QCPItemPosition* point : {m_lines.back()->point1, m_lines.back()->point2}) {
            point->setTypeX(QCPItemPosition::ptAxisRectRatio);
            point->setTypeY(QCPItemPosition::ptPlotCoords);
        }
        auto* name = new QCPItemText(this);
        name->setSelectable(false);
        name->position->setTypeX(QCPItemPosition::ptAxisRectRatio);
        name->position->setTypeY(QCPItemPosition::ptPlotCoords);
        QFont font = QApplication::font();
        font.setPointSizeF(7.5);
        name->setFont(font);
        name->setPadding(QMargins(3, 1, 4, 0));
        m_names.push_back(name);
    }
    std::sort(m_baselines.begin(), m_baselines.end(),
              [](const Baseline& a, const Baseline& b) { return a.value > b.value; });
    QColor ground = plotColor();  // curves pass behind the names
    ground.setAlphaF(0.75);
    for (std::size_t i = 0; i < m_baselines.size(); ++i) {
        const Baseline& baseline = m_baselines[i];
        // The names of two lines that lie close together stand on their far sides.
        const bool below = i > 0 && i + 1 == m_baselines.size();
        m_names[i]->setPositionAlignment(Qt::AlignRight | (below ? Qt::AlignTop : Qt::AlignBottom));
        const QColor color = baseline.color.isValid() ? baseline.color : mutedColor();
        m_lines[i]->point1->setCoords(0, baseline.value);
        m_lines[i]->point2->setCoords(1, baseline.value);
        m_lines[i]->setPen(QPen(color, 1, Qt::DashLine));
        m_names[i]->position->setCoords(1, baseline.value);
        m_names[i]->setText(baseline.name);
        m_names[i]->setBrush(ground);
        m_names[i]->setColor(color);
    }
}

void Chart::fit() {
    bool any = false;
    QCPRange x, y;
    const auto domain = [](QCPAxis* axis) {
        return axis->scaleType() == QCPAxis::stLogarithmic ? QCP::sdPositive : QCP::sdBoth;
    };
    for (int i = 0; i < graphCount(); ++i) {
        if (!graph(i)->visible()) continue;
        bool foundX = false, foundY = false;
        const QCPRange keys = graph(i)->getKeyRange(foundX, domain(xAxis));
        const QCPRange values = graph(i)->getValueRange(foundY, domain(yAxis));
        if (!foundX || !foundY) continue;
        x = any ? x.expanded(keys) : keys;
        y = any ? y.expanded(values) : values;
        any = true;
    }
    if (!any) return;
    for (const Baseline& baseline : m_baselines)
        if (std::isfinite(baseline.value) && (!isLogY() || baseline.value > 0)) y.expand(baseline.value);
    if (isLogY()) {
        const double factor = std::max(1.05, std::pow(y.upper / y.lower, 0.06));
        yAxis->setRange(y.lower / factor, y.upper * factor);
    } else {
        const double margin = y.size() > 0 ? 0.06 * y.size() : std::max(1e-6, 0.05 * std::abs(y.upper));
        // Room for the names of baselines beside their lines, whatever the height of the chart.
        const double name = 19.0 / std::max(60, axisRect()->height()) * (y.size() + 2 * margin);
        yAxis->setRange(y.lower - std::max(margin, m_baselines.size() > 1 ? name : 0),
                        y.upper + std::max(margin, m_baselines.empty() ? 0 : name));
    }
    // Around a single point; steps begin at 0.
    if (x.size() <= 0)
        x = isLogX() ? QCPRange(x.lower / 2, x.upper * 2) : QCPRange(std::max(0.0, x.lower - 1), x.upper + 1);
    xAxis->setRange(x);
}

void Chart::refresh() {
    if (m_followsData) fit();
    replot(QCustomPlot::rpQueuedReplot);
}

void Chart::resetView() {
    m_followsData = true;
    refresh();
}

void Chart::setFineness(double ratio) {
    setBufferDevicePixelRatio(ratio);
    setPlottingHint(QCP::phCacheLabels, ratio <= devicePixelRatioF());  // cached ones are as coarse as the screen
    replot(QCustomPlot::rpImmediateRefresh);
}

void Chart::setCursor(double x) {
    if (x == m_cursor || (std::isnan(x) && std::isnan(m_cursor))) return;
    m_cursor = x;
    m_cursorLine->setVisible(!std::isnan(x));
    if (!std::isnan(x)) {
        m_cursorLine->point1->setCoords(x, 0);
        m_cursorLine->point2->setCoords(x, 1);
    }
    replot(QCustomPlot::rpQueuedReplot);
}

}  // namespace linscope::app
