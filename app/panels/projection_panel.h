#pragma once

#include <QTimer>
#include <QWidget>

#include "app/panels/chart_frame.h"
#include "app/session/session.h"

class QComboBox;
class QLabel;
class QSplitter;
class QToolButton;

namespace linscope::app {

/// Charts of one projection matrix (E or F of a lane): its spectrum at the shown step and at step 0, its
/// conditioning and its drift over time, each with what a random matrix has, dashed (design: honest measures).
class ProjectionPanel : public QWidget {
    Q_OBJECT
public:
    explicit ProjectionPanel(Session& session, QWidget* parent = nullptr);

    /// The label of the matrix that is shown, "E.layer0"; empty when the chosen lane has none.
    QString shownLabel() const;
    /// What is said in place of the charts where there is no matrix to show.
    QString absence() const;
    /// All charts, or the one.
    bool exportTo(const QString& path, ChartFormat format, const ChartFrame* only = nullptr);
    Chart& spectrum() { return m_spectrum->chart(); }
    Chart& conditioning() { return m_conditioning->chart(); }
    Chart& drift() { return m_drift->chart(); }

protected:
    void changeEvent(QEvent* event) override;

private:
    void restyle();
    void askExport(ChartFormat format, const ChartFrame* only);
    bool exportTable(const QString& path, const ChartFrame* only);
    void scheduleUpdate();
    void update();
    void fillChoices();
    void followSelection();
    const ProjectionSeries* shown() const;
    void drawSpectrum(const ProjectionSeries& series, std::size_t at);
    void drawConditioning(const ProjectionSeries& series);
    void drawDrift(const ProjectionSeries& series);
    void readOuts(const ProjectionSeries& series, std::size_t at);
    std::size_t shownIndex(const ProjectionSeries& series) const;

    Session& m_session;
    QComboBox* m_choice;
    QToolButton* m_export = nullptr;
    QLabel* m_facts;
    QSplitter* m_splitter;
    ChartFrame* m_spectrum;
    ChartFrame* m_conditioning;
    ChartFrame* m_drift;
    QWidget* m_scroll;  ///< around the charts
    QCPGraph* m_now;
    QCPGraph* m_start;
    QCPGraph* m_kappa;
    QCPGraph* m_frobenius;
    QCPGraph* m_overlap;
    QCPGraph* m_angle;
    QTimer m_timer;
    Selection m_followed;
};

}  // namespace linscope::app
