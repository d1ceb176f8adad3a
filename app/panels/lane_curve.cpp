#include "app/panels/lane_curve.h"

#include <algorithm>
#include <cmath>

namespace linscope::app {

double Smoother::add(double value) {
    if (std::isnan(value)) return value;
    m_mean = m_weight * m_mean + (1 - m_weight) * value;
    m_correction *= m_weight;
    return m_mean / (1 - m_correction);
}

LaneCurve::LaneCurve(Chart& chart, const QPen& pen, const QString& name)
    : m_chart(&chart), m_pen(pen), m_raw(chart.addCurve(pen, name)), m_smooth(chart.addCurve(pen, name)) {
    setSmoothing(0);
}

LaneCurve::~LaneCurve() {
    if (!m_chart) return;
    m_chart->removeGraph(m_raw);
    m_chart->removeGraph(m_smooth);
}

void LaneCurve::setSmoothing(double weight) {
    m_weight = weight;
    // Behind a smoothed curve the raw one is a shadow, and needs no dashes to be told from others.
    QPen raw = m_pen;
    if (weight > 0) {
        QColor faint = m_pen.color();
        faint.setAlphaF(0.28F * m_pen.color().alphaF());
        raw = QPen(faint, 1.0);
    } else {
        raw.setWidthF(std::min(1.5, m_pen.widthF()));
    }
    m_raw->setPen(raw);
    setVisible(m_raw->visible());
    clear();
}

void LaneCurve::setVisible(bool visible) {
    m_raw->setVisible(visible);
    m_smooth->setVisible(visible && m_weight > 0);
}

void LaneCurve::clear() {
    m_raw->data()->clear();
    m_smooth->data()->clear();
    m_smoother = Smoother(m_weight);
    m_shown = 0;
}

void LaneCurve::update(const Series& series) {
    const bool grown = series.values.size() >= m_shown &&
                       (m_shown == 0 || static_cast<double>(series.steps[m_shown - 1]) == m_lastStep);
    if (!grown) clear();
    draw(series, m_shown);
}

void LaneCurve::draw(const Series& series, std::size_t from) {
    for (std::size_t i = from; i < series.values.size(); ++i) {
        const auto step = static_cast<double>(series.steps[i]);
        m_raw->addData(step, series.values[i]);
        if (m_weight > 0) m_smooth->addData(step, m_smoother.add(series.values[i]));
        m_lastStep = step;
    }
    m_shown = series.values.size();
    // A line through one point is nothing.
    const bool single = m_shown == 1;
    m_raw->setScatterStyle(single ? QCPScatterStyle(QCPScatterStyle::ssDisc, m_smooth->pen().color(), 5)
                                  : QCPScatterStyle());
}

}  // namespace linscope::app
