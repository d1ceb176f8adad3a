#pragma once

#include <QPointer>
#include <vector>

#include "app/panels/chart.h"
#include "app/session/run_record.h"

namespace linscope::app {

/// Exponential moving average that starts unbiased, as dashboards draw it: with weight w in [0, 1),
/// m ← w·m + (1−w)·x and the smoothed value is m/(1−wⁿ). A NaN stays NaN and leaves no trace.
class Smoother {
public:
    explicit Smoother(double weight = 0) : m_weight(weight) {}
    double add(double value);

private:
    double m_weight;
    double m_mean = 0;
    double m_correction = 1;  // wⁿ
};

/// One lane's curve in a chart: the smoothed one, and the raw one faintly behind it. Takes only what is new.
class LaneCurve {
public:
    /// With the pen's colour and dashes.
    LaneCurve(Chart& chart, const QPen& pen, const QString& name);
    ~LaneCurve();
    LaneCurve(const LaneCurve&) = delete;
    LaneCurve& operator=(const LaneCurve&) = delete;

    void setSmoothing(double weight);
    void setVisible(bool visible);
    /// Shows the series, which has grown since or is another one.
    void update(const Series& series);
    void clear();

private:
    void draw(const Series& series, std::size_t from);

    QPointer<Chart> m_chart;
    QPen m_pen;
    QCPGraph* m_raw;
    QCPGraph* m_smooth;
    double m_weight = 0;
    Smoother m_smoother;
    std::size_t m_shown = 0;
    double m_lastStep = 0;
};

}  // namespace linscope::app
