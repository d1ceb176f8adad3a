#pragma once

#include <QTimer>
#include <QWidget>
#include <map>
#include <memory>
#include <vector>

#include "app/panels/chart_frame.h"
#include "app/panels/chart_lanes.h"
#include "app/panels/lane_curve.h"
#include "app/panels/legend.h"
#include "app/session/session.h"

class QLabel;
class QSlider;
class QSplitter;
class QToolButton;

namespace linscope::app {

class ValueBox;

/// Metrics of the selected run over steps: one chart for each chosen metric, one curve for each lane, and those of
/// the runs that are laid over. One legend serves all charts.
class MetricsPanel : public QWidget {
    Q_OBJECT
public:
    explicit MetricsPanel(Session& session, QWidget* parent = nullptr);

    /// Where the answers of the run's task are no bytes, bits per byte stand for their accuracy.
    void setMetrics(const QStringList& names);
    QStringList shownMetrics() const;
    double smoothing() const;
    void setSmoothing(double weight);
    ChartFrame* frame(const QString& metric);
    Legend& legend() { return *m_legend; }

    /// Of all shown metrics or of one; a table has the raw values of all lanes, laid-over ones too.
    bool exportTo(const QString& path, ChartFormat format, const QString& metric = {});

    QVariantMap saveState() const;
    void restoreState(const QVariantMap& state);

protected:
    void changeEvent(QEvent* event) override;

public Q_SLOTS:
    void askExport(ChartFormat format, const QString& metric = {});

private:
    struct Plot {
        std::string metric;
        ChartFrame* frame = nullptr;
        std::vector<std::unique_ptr<LaneCurve>> curves;  // one for each of m_shown
    };
    /// What a chart's curves are; others are drawn anew.
    using Shown = std::vector<Legend::Entry>;
    QWidget* makeControls();
    std::vector<ChartLane> lanes() const { return chartLanes(m_session.current(), m_session.overlays().all()); }
    QStringList notes() const { return overlayNotes(m_session.current(), m_session.overlays().all()); }
    void showMetrics();
    void addPlot(const std::string& metric);
    double smoothingOf(const std::string& metric) const;
    void scheduleUpdate();
    void update();
    void drawCurves(Plot& plot, const std::vector<ChartLane>& lanes);
    void showCursor(const Plot& pointed, double step);
    void showValues(const Plot& pointed, const std::vector<ChartLane>& lanes, double step);
    void readOut(Plot& plot, const std::vector<ChartLane>& lanes, double step);
    bool exportTable(const QString& path, const std::vector<const Plot*>& plots);
    void offerToRemove(int overlay, const QPoint& position);
    void setLogarithmic();

    Session& m_session;
    std::vector<std::unique_ptr<Plot>> m_plots;
    int m_run = -1;
    Shown m_shown;
    Legend* m_legend;
    QLabel* m_notes;  ///< what must be known to compare what is laid over
    ValueBox* m_box;
    QSplitter* m_splitter;
    QToolButton* m_chooser;
    std::map<std::string, QAction*> m_choices;
    QSlider* m_smoothing;
    QLabel* m_smoothingText;
    QToolButton* m_logX;
    QToolButton* m_logY;
    QTimer m_timer;
    bool m_restoring = false;
    QStringList m_metrics;  ///< chosen
    bool m_bytes = true;    ///< the answers of the run's task are bytes
};

}  // namespace linscope::app
