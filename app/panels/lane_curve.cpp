#include "app/panels/lane_curve.h"

#include <cmath>

namespace linscope::app {

double Smoother::add(double value) {
    if (std::isnan(value)) return value;
    m_mean = m_weight * m_mean + (1 - m_weight) * value;
    m_correction *= m_weight;
    return m_mean / (1 - m_correction);
}

LaneCurve::LaneCurve(Chart& chart, const QColor& color, const QString& name)
    : m_chart(&chart), m_raw(chart.addCurve(QPen(color, 1), name)), m_smooth(chart.addCurve(QPen(color, 1.8), name)) {
    setSmoothing(0);
}

LaneCurve::~LaneCurve() {
    if (!m_chart) return;
    m_chart->removeGraph(m_raw);
    m_chart->removeGraph(m_smooth);
}

void LaneCurve::setSmoothing(double weight) {
    m_weight = weight;
    QPen pen = m_smooth->pen();
    QColor color = pen.color();
    color.setAlphaF(weight > 0 ? 0.28F : 1.0F);
    m_raw->setPen(QPen(color, weight > 0 ? 1.0 : 1.5));
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
