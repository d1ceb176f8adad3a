#pragma once

#include <QObject>
#include <QString>
#include <vector>

#include "app/panels/plot_library.h"

namespace linscope::app {

/// A place on the x axis where something was changed.
struct ChartMark {
    double x = 0;
    QString text;
    QColor color;  ///< invalid: grey
    bool operator==(const ChartMark&) const = default;
};

/// Thin upright lines in a chart, each with its text beside it at the top, where texts do not run into one another:
/// then the later one has the line alone.
class ChartMarks : public QObject {
    Q_OBJECT
public:
    /// `plot` owns it.
    explicit ChartMarks(QCustomPlot& plot);
    /// Sorted by x.
    void set(std::vector<ChartMark> marks);
    /// Draws them again in the present look.
    void restyle();
    const std::vector<ChartMark>& all() const { return m_marks; }
    /// Texts that have room at the present zoom.
    QStringList shownTexts() const;
    /// Of the mark that lies nearest to x and no more than a few pixels away; empty without one.
    QString textNear(double x) const;

private:
    void place();

    QCustomPlot& m_plot;
    std::vector<ChartMark> m_marks;
    std::vector<QCPItemStraightLine*> m_lines;
    std::vector<QCPItemText*> m_texts;
};

}  // namespace linscope::app
