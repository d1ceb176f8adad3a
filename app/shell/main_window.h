#pragma once

#include <QMainWindow>
#include <functional>

#include "app/session/session.h"
#include "app/shell/theme.h"

class QAction;
class QDockWidget;
class QMenu;

namespace linscope::app {

class CentralWidget;
class DockLayout;
class ElidedLabel;
class EventsPanel;
class ExperimentPanel;
class MetricsPanel;
class ProjectionPanel;
class RunsPanel;
class SteerPanel;

/// The workbench: docks around the canvas, toolbar, menus, status bar.
class MainWindow : public QMainWindow {
    Q_OBJECT
public:
    enum class Memory { Remembered, Fresh };  ///< Fresh: default layout, and nothing of it is kept

    MainWindow(Session& session, Memory memory, QWidget* parent = nullptr);

    /// Opens a run file, or an experiment file, which is then in the editor. Says what is wrong in the status bar.
    /// Returns whether it was an experiment that can be started.
    bool openPath(const QString& path);
    /// Puts the default experiment into the editor.
    void openDefaultExperiment();
    void startExperiment();
    /// Offers in the list of runs to go on with the run that was opened or trained last, where it has a checkpoint.
    void offerLastRun();

    ExperimentPanel& experimentPanel() { return *m_experiment; }
    MetricsPanel& metricsPanel() { return *m_metrics; }
    CentralWidget& central() { return *m_central; }
    QAction* action(const QString& name) const;
    /// The whole window with the canvas in its place, which QWidget::grab() alone leaves empty.
    QImage picture();

public Q_SLOTS:
    void showMessage(const QString& text, bool isError);

protected:
    bool event(QEvent* event) override;
    void changeEvent(QEvent* event) override;
    void closeEvent(QCloseEvent* event) override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    void say(const QString& text, bool isError);
    void makeDocks();
    void makeActions();
    void makeMenus();
    void makeDeviceMenu(QMenu& run);
    void makeToolBar();
    QAction* addAction(const QString& name, const QString& icon, const QString& text, const QString& help,
                       const QList<QKeySequence>& keys, std::function<void()> act);
    QDockWidget* addDock(const QString& name, const QString& title, QWidget* panel, Qt::DockWidgetArea area);
    void restoreWindow();
    void rememberWindow();
    /// What belongs to an opened run once its file could be read.
    void takeOpened();
    void rememberRecent(const QString& path);
    void fillRecent();
    void updateActions();
    void runOrResume();
    void runOrPause();
    void post(CommandKind kind);
    void askOpen();
    void askOverlays();
    void askRunsFolder();
    void askSavePicture();
    void chooseLook(Look look);
    void showKeys();
    void showAbout();

    Session& m_session;
    Memory m_memory;
    CentralWidget* m_central = nullptr;
    RunsPanel* m_runs = nullptr;
    SteerPanel* m_steer = nullptr;
    ExperimentPanel* m_experiment = nullptr;
    MetricsPanel* m_metrics = nullptr;
    ProjectionPanel* m_projection = nullptr;
    EventsPanel* m_events = nullptr;
    QMap<QString, QDockWidget*> m_docks;
    DockLayout* m_layout = nullptr;
    QMap<QString, QAction*> m_actions;
    QList<QAction*> m_actionOrder;
    QMenu* m_recent = nullptr;
    ElidedLabel* m_message = nullptr;  ///< of the status bar; m_said but while a menu tells what an entry does
    QString m_said;
    bool m_saidError = false;
    int m_shownRun = -1;
    int m_trained = -1;   ///< the run that trained last
    int m_opened = -1;    ///< the run whose experiment comes into the editor when its file has been read
    bool m_goOn = false;  ///< and which goes on then, unless it has ended
};

}  // namespace linscope::app
