#include "app/shell/main_window.h"

#include <QCloseEvent>
#include <QDockWidget>
#include <QDragEnterEvent>
#include <QFile>
#include <QFileInfo>
#include <QMimeData>
#include <QPainter>
#include <QScreen>
#include <QSettings>
#include <QStatusBar>
#include <QStatusTipEvent>

#include "app/panels/elided_label.h"
#include "app/panels/events_panel.h"
#include "app/panels/experiment_panel.h"
#include "app/panels/metrics_panel.h"
#include "app/panels/projection_panel.h"
#include "app/panels/runs_panel.h"
#include "app/panels/steer_panel.h"
#include "app/shell/central_widget.h"
#include "app/shell/dock_layout.h"
#include "app/shell/run_status.h"
#include "app/shell/theme.h"
#include "app/shell/tool_tips.h"

namespace linscope::app {

namespace {
constexpr QSize kDefaultSize{1800, 1000};
constexpr QSize kFrame{8, 40};  // what a desktop puts around a window
}  // namespace

MainWindow::MainWindow(Session& session, Memory memory, QWidget* parent)
    : QMainWindow(parent), m_session(session), m_memory(memory), m_central(new CentralWidget(session)) {
    setWindowTitle("Linscope");
    setObjectName("workbench");
    setAcceptDrops(true);
    setDockOptions(AnimatedDocks | AllowNestedDocks | AllowTabbedDocks);
    setTabPosition(Qt::AllDockWidgetAreas, QTabWidget::North);
    setCentralWidget(m_central);

    m_message = new ElidedLabel;
    m_message->setObjectName("message");
    m_message->setContentsMargins(8, 0, 8, 0);
    m_message->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    statusBar()->addWidget(m_message, 1);
    statusBar()->addPermanentWidget(new RunStatus(session));
    statusBar()->setSizeGripEnabled(false);
    new ToolTips(this);

    makeDocks();
    makeActions();
    makeMenus();
    makeToolBar();
    const QSize size = kDefaultSize.boundedTo(screen() ? screen()->availableSize() - kFrame : kDefaultSize);
    resize(size);
    m_layout = new DockLayout(*this, m_docks);
    m_layout->reset();
    resize(size);  // docks side by side may have needed more
    if (m_memory == Memory::Remembered) restoreWindow();

    connect(&session, &Session::message, this, &MainWindow::showMessage);
    connect(&session, &Session::runStateChanged, this, &MainWindow::updateActions);
    connect(&session, &Session::runRemoved, this, &MainWindow::updateActions);
    connect(&session, &Session::selectionChanged, this, &MainWindow::updateActions);
    connect(&session.overlays(), &Overlays::changed, this, [this] {
        updateActions();
        if (!m_session.overlays().all().empty()) m_docks["metrics"]->show();
    });
    connect(&session, &Session::selectionChanged, this, [this] {
        // What was said of another run, or of a file that could not be opened, is no longer the matter.
        if (std::exchange(m_shownRun, m_session.selection().run) != m_session.selection().run) showMessage({}, false);
    });
    // The charts of the projection come up with its page, and go with it where they share a place.
    connect(m_central, &CentralWidget::pageChanged, this, [this] {
        QDockWidget *metrics = m_docks["metrics"], *projection = m_docks["projection"];
        if (!tabifiedDockWidgets(metrics).contains(projection)) return;
        (m_central->page() == CanvasWidget::Page::Projection ? projection : metrics)->raise();
    });
    connect(&session, &Session::runStateChanged, this, [this](int id) {
        if (id == m_opened) takeOpened();
        const Run* run = m_session.run(id);
        if (run && run->live() && !run->loading && std::exchange(m_trained, id) != id)
            rememberRecent(QString::fromStdString(run->file.string()));
    });
    if (!m_central->canvas().hasVulkan()) showMessage(m_central->canvas().problem(), true);
    updateActions();
}

void MainWindow::makeDocks() {
    m_runs = new RunsPanel(m_session);
    m_steer = new SteerPanel(m_session);
    m_experiment = new ExperimentPanel(m_session);
    m_metrics = new MetricsPanel(m_session);
    m_projection = new ProjectionPanel(m_session);
    m_events = new EventsPanel(m_session);
    addDock("runs", tr("Runs"), m_runs, Qt::LeftDockWidgetArea);
    addDock("steer", tr("Steer the run"), m_steer, Qt::LeftDockWidgetArea);
    addDock("experiment", tr("Experiment"), m_experiment, Qt::LeftDockWidgetArea);
    addDock("events", tr("Events"), m_events, Qt::LeftDockWidgetArea);
    addDock("metrics", tr("Metrics"), m_metrics, Qt::RightDockWidgetArea);
    addDock("projection", tr("Projection"), m_projection, Qt::RightDockWidgetArea);
    connect(m_runs, &RunsPanel::folderChangeAsked, this, &MainWindow::askRunsFolder);
    connect(m_runs, &RunsPanel::goOnAsked, this, [this](const QString& file) {
        m_goOn = true;
        openPath(file);
    });
    connect(m_runs, &RunsPanel::laneChosen, &m_central->canvas(), &CanvasWidget::chooseLane);
}

QDockWidget* MainWindow::addDock(const QString& name, const QString& title, QWidget* panel, Qt::DockWidgetArea area) {
    auto* dock = new QDockWidget(title);
    dock->setObjectName(name);
    dock->setWidget(panel);
    addDockWidget(area, dock);
    m_docks[name] = dock;
    return dock;
}

void MainWindow::restoreWindow() {
    const QSettings settings;
    if (settings.contains("window/geometry")) restoreGeometry(settings.value("window/geometry").toByteArray());
    if (screen() && !isMaximized() && !isFullScreen())  // it may have been a larger one
        resize(size().boundedTo(screen()->availableSize() - kFrame));
    m_layout->restore();
    if (settings.contains("window/metrics")) m_metrics->restoreState(settings.value("window/metrics").toMap());
    if (settings.contains("window/canvas")) m_central->canvas().restoreState(settings.value("window/canvas").toMap());
    m_session.setDevice(settings.value("device", "auto").toString().toStdString());
}

void MainWindow::rememberWindow() {
    QSettings settings;
    settings.setValue("window/geometry", saveGeometry());
    m_layout->remember();
    settings.setValue("window/metrics", m_metrics->saveState());
    settings.setValue("window/canvas", m_central->canvas().saveState());
    settings.setValue("device", QString::fromStdString(m_session.device()));
}

bool MainWindow::openPath(const QString& path) {
    if (QFileInfo(path).suffix().toLower() != "toml") {
        m_opened = m_session.open(path);
        takeOpened();  // where it was open already
        return false;
    }
    try {
        m_experiment->draft().loadFile(path);
    } catch (const std::exception& error) {
        showMessage(QString::fromUtf8(error.what()), true);
        return false;
    }
    rememberRecent(path);
    m_docks["experiment"]->show();
    m_docks["experiment"]->raise();
    return true;
}

void MainWindow::takeOpened() {
    const Run* run = m_session.run(m_opened);
    if (!run || run->loading) return;
    m_opened = -1;
    const bool goOn = std::exchange(m_goOn, false);
    if (!run->error.empty()) return;
    // The editor shows what the run was made from, so that it can be changed and started again.
    m_experiment->draft().load(run->record.experiment);
    rememberRecent(QString::fromStdString(run->file.string()));
    if (goOn && run->unfinished()) m_session.resume(run->id);
}

void MainWindow::openDefaultExperiment() {
    QFile file(":/experiments/first_light/experiment.toml");
    if (!file.open(QIODevice::ReadOnly)) return;
    m_experiment->draft().load(Experiment::fromToml(file.readAll().toStdString(), "first_light"));
    m_docks["experiment"]->show();
    m_docks["experiment"]->raise();
}

void MainWindow::startExperiment() {
    m_experiment->start();
}

QAction* MainWindow::action(const QString& name) const {
    return m_actions.value(name);
}

QImage MainWindow::picture() {
    QImage whole = grab().toImage();
    const QImage canvas = m_central->canvas().grabImage();
    if (canvas.isNull()) return whole;
    QPainter painter(&whole);
    const QWidget& widget = m_central->canvas();
    painter.drawImage(QRect(widget.mapTo(this, QPoint()), widget.size()), canvas);
    return whole;
}

void MainWindow::showMessage(const QString& text, bool isError) {
    m_said = text;
    m_saidError = isError;
    say(text, isError);
}

void MainWindow::say(const QString& text, bool isError) {
    QPalette palette = m_message->palette();
    palette.setColor(QPalette::WindowText, isError ? errorColor() : mutedColor());
    m_message->setPalette(palette);
    m_message->setText(text);
}

bool MainWindow::event(QEvent* event) {
    if (event->type() != QEvent::StatusTip) return QMainWindow::event(event);
    // In the message's place, which ends a text that has no room where the run's state begins.
    const QString tip = static_cast<QStatusTipEvent*>(event)->tip();
    tip.isEmpty() ? say(m_said, m_saidError) : say(tip, false);
    return true;
}

void MainWindow::changeEvent(QEvent* event) {
    QMainWindow::changeEvent(event);
    if (isNewLook(*event) && m_message) say(m_said, m_saidError);
}

void MainWindow::closeEvent(QCloseEvent* event) {
    if (m_memory == Memory::Remembered) rememberWindow();
    event->accept();
    // The window is gone at once; the run ends its step, saves a checkpoint and closes its file meanwhile.
    hide();
    m_session.shutdown();
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
    const auto urls = event->mimeData()->urls();
    if (urls.size() == 1 && urls.front().isLocalFile()) event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event) {
    openPath(event->mimeData()->urls().front().toLocalFile());
}

}  // namespace linscope::app
