#pragma once

#include <QWidget>
#include <functional>
#include <optional>
#include <vector>

#include "app/panels/chart.h"
#include "app/panels/chart_export.h"

class QLabel;
class QMenu;

namespace linscope::app {

/// One entry of the line above a chart: a colour, a name, a value. Legend and read-out in one; without a name where a
/// legend serves several charts.
struct ReadOut {
    QColor color;
    QString name;
    QString value;
};

/// A chart below its title and read-out, with a context menu (reset, log axes, the exports that somebody makes).
class ChartFrame : public QWidget {
    Q_OBJECT
public:
    explicit ChartFrame(const QString& title, QWidget* parent = nullptr);

    Chart& chart() { return *m_chart; }
    void setTitle(const QString& title);
    QString title() const { return m_title; }
    /// What is counted from left to right, for figures; on the screen the read-out says it. At first "step".
    void setAcross(const QString& name) { m_across = name; }
    QString across() const { return m_across; }
    /// `place` is "step 120" or "σ 12"; empty when nothing is pointed at.
    void setReadOut(const QString& place, const std::vector<ReadOut>& values);

Q_SIGNALS:
    /// Of this chart alone, or of all that stand with it.
    void exportAsked(ChartFormat format, bool all);

protected:
    void resizeEvent(QResizeEvent* event) override;

private:
    void showMenu(const QPoint& position);
    void fillMenu(QMenu& menu);

    QString m_title, m_across;
    QLabel* m_heading;
    QLabel* m_readOut;
    std::size_t m_entries = 0;  ///< of the read-out
    Chart* m_chart;
};

}  // namespace linscope::app
