#pragma once

#include <QString>
#include <functional>
#include <vector>

#include "app/panels/chart_marks.h"
#include "app/panels/plot_library.h"

namespace linscope::app {

/// A line chart in the program's look. Axes follow the data until a person zooms (wheel) or pans (drag);
/// from then on they stay as they are, whatever data comes, until a double click. Curves are drawn with QCustomPlot's
/// per-pixel envelope of minimum and maximum, so that no extreme is lost however many points there are.
class Chart : public QCustomPlot {
    Q_OBJECT
public:
    explicit Chart(QWidget* parent = nullptr);

    struct Baseline {
        QString name;
        double value = 0;
        QColor color;  ///< invalid: grey
    };

    void setLabels(const QString& x, const QString& y);
    void setLogarithmic(bool x, bool y);
    bool isLogX() const { return xAxis->scaleType() == QCPAxis::stLogarithmic; }
    bool isLogY() const { return yAxis->scaleType() == QCPAxis::stLogarithmic; }
    QCPGraph* addCurve(const QPen& pen, const QString& name);
    /// Dashed horizontal lines, each with its name; the axis makes room for them.
    void setBaselines(std::vector<Baseline> baselines);
    const std::vector<Baseline>& baselines() const { return m_baselines; }

    ChartMarks& marks() { return *m_marks; }

    /// Fits the axes unless a person has taken them over, and draws soon.
    void refresh();
    void resetView();

    /// Draws again with that many pixels for one, for a picture that is finer than the screen.
    void setFineness(double ratio);

    /// Marks x with a vertical line; NaN takes it away.
    void setCursor(double x);
    double cursor() const { return m_cursor; }

Q_SIGNALS:
    /// The pointer is at x, or has left (NaN).
    void hovered(double x);

protected:
    void changeEvent(QEvent* event) override;
    void leaveEvent(QEvent* event) override;

private:
    /// Everything but the curves, whose pens are their owners', in the present look.
    void restyle();
    void setScale(QCPAxis* axis, bool logarithmic);
    void fit();
    void drawBaselines();

    std::vector<Baseline> m_baselines;
    std::vector<QCPItemStraightLine*> m_lines;
    std::vector<QCPItemText*> m_names;
    QCPItemStraightLine* m_cursorLine = nullptr;
    ChartMarks* m_marks = nullptr;
    double m_cursor = 0;
    bool m_followsData = true;
};

}  // namespace linscope::app
