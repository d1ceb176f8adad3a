#pragma once

#include <QTimer>
#include <QWidget>
#include <map>
#include <memory>
#include <vector>

#include "app/panels/chart_frame.h"
#include "app/panels/lane_curve.h"
#include "app/session/session.h"

class QLabel;
class QSlider;
class QSplitter;
class QToolButton;

namespace linscope::app {

/// Metrics of the selected run over steps: one chart for each chosen metric, one curve for each lane.
class MetricsPanel : public QWidget {
    Q_OBJECT
public:
    explicit MetricsPanel(Session& session, QWidget* parent = nullptr);

    QStringList metrics() const;
    void setMetrics(const QStringList& names);
    double smoothing() const;
    void setSmoothing(double weight);
    ChartFrame* frame(const QString& metric);

    bool exportPng(const QString& path);
    /// Raw values of the shown metrics of all lanes.
    bool exportCsv(const QString& path);

    QVariantMap saveState() const;
    void restoreState(const QVariantMap& state);

public Q_SLOTS:
    void askExportPng();
    void askExportCsv();

private:
    struct Plot {
        std::string metric;
        ChartFrame* frame = nullptr;
        std::vector<std::unique_ptr<LaneCurve>> curves;  // one for each lane
    };
    QWidget* makeControls();
    void addPlot(const std::string& metric);
    double smoothingOf(const std::string& metric) const;
    void scheduleUpdate();
    void update();
    void showCursor(double step);
    void readOut(Plot& plot, double step);
    void setLogarithmic();

    Session& m_session;
    std::vector<std::unique_ptr<Plot>> m_plots;
    int m_run = -1;
    QSplitter* m_splitter;
    QToolButton* m_chooser;
    std::map<std::string, QAction*> m_choices;
    QSlider* m_smoothing;
    QLabel* m_smoothingText;
    QToolButton* m_logX;
    QToolButton* m_logY;
    QTimer m_timer;
    bool m_restoring = false;
};

}  // namespace linscope::app
