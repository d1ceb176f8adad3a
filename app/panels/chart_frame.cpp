#include "app/panels/chart_frame.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QVBoxLayout>
#include <algorithm>
#include <limits>

#include "app/shell/theme.h"

namespace linscope::app {

ChartFrame::ChartFrame(const QString& title, QWidget* parent)
    : QWidget(parent), m_heading(new QLabel), m_readOut(new QLabel), m_chart(new Chart) {
    auto* head = new QHBoxLayout;
    head->setContentsMargins(8, 3, 8, 2);
    head->setSpacing(10);
    head->addWidget(m_heading);
    head->addWidget(m_readOut, 1);
    QFont small = m_readOut->font();
    small.setPointSizeF(8.5);
    m_readOut->setFont(small);
    m_readOut->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    m_readOut->setTextFormat(Qt::RichText);
    m_readOut->setMinimumWidth(20);
    m_readOut->setWordWrap(true);
    m_readOut->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);

    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addLayout(head);
    layout->addWidget(m_chart, 1);

    setTitle(title);
    setAcross(tr("step"));
    m_chart->setContextMenuPolicy(Qt::CustomContextMenu);
    // On the heading: over the chart itself it would cover what is being read there.
    m_heading->setToolTip(
        tr("In the chart the wheel zooms, drag pans, a double click follows the data again; right click "
           "for more"));
    connect(m_chart, &QWidget::customContextMenuRequested, this, &ChartFrame::showMenu);
}

void ChartFrame::setTitle(const QString& title) {
    m_title = title;
    m_heading->setText("<b>" + title.toHtmlEscaped() + "</b>");
    m_chart->setAccessibleName(title);
}

void ChartFrame::setReadOut(const QString& place, const std::vector<ReadOut>& values) {
    // An entry stays on one line; there are as many lines as it takes to show them all.
    const auto whole = [](QString text) { return text.toHtmlEscaped().replace(' ', "&nbsp;"); };
    QString html;
    for (const ReadOut& value : values) {
        html += QString("<span style='color:%1'>●</span>&nbsp;").arg(value.color.name());
        if (!value.name.isEmpty())
            html += QString("<span style='color:%1'>%2</span>&nbsp;").arg(mutedColor().name(), whole(value.name));
        html += whole(value.value) + "&nbsp; ";
    }
    if (!place.isEmpty()) html += QString("<span style='color:%1'>%2</span>").arg(mutedColor().name(), whole(place));
    if (html == m_readOut->text()) return;
    m_readOut->setText(html);
    // What points at the chart must not make it jump: lines that were needed once stay until there are other entries.
    if (values.size() != m_entries) m_readOut->setMinimumHeight(0);
    m_entries = values.size();
    if (isVisible())
        m_readOut->setMinimumHeight(
            std::max(m_readOut->minimumHeight(), m_readOut->heightForWidth(m_readOut->width())));
}

void ChartFrame::resizeEvent(QResizeEvent* event) {
    m_readOut->setMinimumHeight(0);  // lines are of another length now
    QWidget::resizeEvent(event);
}

void ChartFrame::showMenu(const QPoint& position) {
    // The pointer is on the menu now; its line would be in every figure.
    Q_EMIT m_chart->hovered(std::numeric_limits<double>::quiet_NaN());
    QMenu menu;
    fillMenu(menu);
    menu.exec(m_chart->mapToGlobal(position));
}

void ChartFrame::fillMenu(QMenu& menu) {
    menu.addAction(tr("Follow the data"), m_chart, &Chart::resetView);
    QAction* logX = menu.addAction(tr("Logarithmic x"));
    QAction* logY = menu.addAction(tr("Logarithmic y"));
    for (QAction* action : {logX, logY}) action->setCheckable(true);
    logX->setChecked(m_chart->isLogX());
    logY->setChecked(m_chart->isLogY());
    const auto apply = [=, this] { m_chart->setLogarithmic(logX->isChecked(), logY->isChecked()); };
    connect(logX, &QAction::toggled, this, apply);
    connect(logY, &QAction::toggled, this, apply);
    menu.addSeparator();
    for (const bool all : {false, true}) {
        QMenu* exports = menu.addMenu(all ? tr("Export all charts here") : tr("Export this chart"));
        for (const ChartFormat format : kChartFormats)
            exports->addAction(tr("As %1…").arg(formatName(format)), this,
                               [this, format, all] { Q_EMIT exportAsked(format, all); });
    }
}

}  // namespace linscope::app
