#include <QAction>
#include <QActionGroup>
#include <QApplication>
#include <QDockWidget>
#include <QFileDialog>
#include <QMenu>
#include <QMenuBar>
#include <QMessageBox>
#include <QSettings>
#include <QToolBar>

#include "app/panels/experiment_panel.h"
#include "app/panels/metrics_panel.h"
#include "app/panels/runs_panel.h"
#include "app/panels/step_bar.h"
#include "app/session/runs_folder.h"
#include "app/shell/central_widget.h"
#include "app/shell/dock_layout.h"
#include "app/shell/guide_dialog.h"
#include "app/shell/keys_dialog.h"
#include "app/shell/main_window.h"
#include "app/shell/theme.h"
#include "core/cuda/device.h"
#include "core/train/checkpoint_state.h"

namespace linscope::app {

namespace {
constexpr int kMostRecent = 8;
}

QAction* MainWindow::addAction(const QString& name, const QString& iconName, const QString& text, const QString& help,
                               const QList<QKeySequence>& keys, std::function<void()> act) {
    auto* action = new QAction(text, this);
    if (!iconName.isEmpty()) action->setIcon(icon(iconName));
    action->setObjectName(name);
    action->setShortcuts(keys);
    action->setStatusTip(help);
    action->setToolTip(keys.isEmpty() ? help
                                      : QString("%1 (%2)").arg(help, keys.front().toString(QKeySequence::NativeText)));
    connect(action, &QAction::triggered, this, [act = std::move(act)] { act(); });
    m_actions[name] = action;
    m_actionOrder << action;
    QWidget::addAction(action);
    return action;
}

void MainWindow::makeActions() {
    addAction("start", "run", tr("Start as new run"), tr("Train the experiment of the editor from step 0"),
              {QKeySequence("Ctrl+Return")}, [this] { startExperiment(); });
    addAction("toggle", "", tr("Pause or continue"), tr("Pause between two steps, or go on"), {QKeySequence("Space")},
              [this] { runOrPause(); });
    addAction("run", "run", tr("Continue"), tr("Go on training; a stopped run goes on from its newest checkpoint"),
              {QKeySequence("Ctrl+R")}, [this] { runOrResume(); });
    addAction("pause", "pause", tr("Pause"), tr("Pause exactly between two steps"), {QKeySequence("Ctrl+P")},
              [this] { post(CommandKind::Pause); });
    addAction("step", "step", tr("Step"), tr("Make one step, then pause"), {QKeySequence("."), QKeySequence("S")},
              [this] { post(CommandKind::Step); });
    addAction("stop", "stop", tr("Stop"), tr("Stop after the present step, save a checkpoint, close the run file"),
              {QKeySequence("Ctrl+.")}, [this] { post(CommandKind::Stop); });
    addAction("checkpoint", "checkpoint", tr("Checkpoint"), tr("Save the whole training state now"),
              {QKeySequence("Ctrl+K")}, [this] { post(CommandKind::Checkpoint); });

    addAction("new", "new", tr("&New experiment"), tr("Put the default experiment into the editor"),
              {QKeySequence::New}, [this] { openDefaultExperiment(); });
    addAction("open", "open", tr("&Open experiment or run…"), tr("Open an experiment file or a run file"),
              {QKeySequence::Open}, [this] { askOpen(); });
    addAction("overlay", "", tr("&Lay a run over the charts…"),
              tr("Draw the curves of other run files over those of this run, to compare; files are only read"),
              {QKeySequence("Ctrl+Shift+O")}, [this] { askOverlays(); });
    addAction("clear_overlays", "", tr("Take laid-over runs away"), tr("Leave the curves of this run alone"), {},
              [this] { m_session.overlays().clear(); });
    addAction("save", "save", tr("&Save experiment as…"), tr("Save the experiment of the editor"), {QKeySequence::Save},
              [this] { m_experiment->askSave(); });
    for (const ChartFormat format : kChartFormats) {
        const bool table = format == ChartFormat::Csv, png = format == ChartFormat::Png;
        const QString type = formatName(format);
        addAction("export_" + type.toLower(), png ? "export" : "", tr("Export charts as %1…").arg(type),
                  table ? tr("Save the raw values of the metric charts")
                  : png ? tr("Save the metric charts as a picture")
                        : tr("Save the metric charts as lines and texts on a white ground, for papers and slides"),
                  table ? QList{QKeySequence("Ctrl+E")} : QList<QKeySequence>(),
                  [this, format] { m_metrics->askExport(format); });
    }
    addAction("export_window", "", tr("Export the window as PNG…"), tr("Save a picture of the whole window"), {},
              [this] { askSavePicture(); });
    addAction("folder", "", tr("Runs folder…"), tr("Choose where new runs are written"), {},
              [this] { askRunsFolder(); });
    addAction("quit", "", tr("&Quit"), tr("Close; a live run is stopped with a checkpoint"), {QKeySequence::Quit},
              [this] { close(); });

    addAction("previous", "previous", tr("Stored step before"), tr("Look at the stored step before"),
              {QKeySequence("[")}, [this] { m_central->stepBar().previous(); });
    addAction("next", "next", tr("Stored step after"), tr("Look at the stored step after"), {QKeySequence("]")},
              [this] { m_central->stepBar().next(); });
    addAction("live", "live", tr("Follow the newest step"), tr("Back to the newest step"), {QKeySequence("Ctrl+L")},
              [this] { m_central->stepBar().goLive(); });
    addAction("maps", "", tr("Maps"), tr("Exact, compressed and lifted map and their difference"),
              {QKeySequence("Ctrl+1")}, [this] { m_central->setPage(CanvasWidget::Page::Maps); });
    addAction("projection", "", tr("Projection"), tr("The projections E and F as pictures"), {QKeySequence("Ctrl+2")},
              [this] { m_central->setPage(CanvasWidget::Page::Projection); });
    addAction("lanes", "", tr("Lanes"), tr("What each lane's head does, side by side in shared ranges"),
              {QKeySequence("Ctrl+3")}, [this] { m_central->setPage(CanvasWidget::Page::Lanes); });
    QAction* light = addAction("light", "", tr("Light ground"), tr("For bright rooms and for print"), {},
                               [this] { chooseLook(m_actions["light"]->isChecked() ? Look::Light : Look::Dark); });
    light->setCheckable(true);
    light->setChecked(look() == Look::Light);
    addAction("layout", "reset", tr("Default layout"), tr("Put all docks back to their places"), {},
              [this] { m_layout->reset(); });
    addAction("guide", "", tr("What is shown"), tr("What maps, projections and charts show, in a page"),
              {QKeySequence::HelpContents}, [this] { GuideDialog(this).exec(); });
    addAction("keys", "keys", tr("Keys"), tr("All keys"), {QKeySequence("?")}, [this] { showKeys(); });
    addAction("about", "", tr("About Linscope"), tr("What this is"), {}, [this] { showAbout(); });
}

void MainWindow::makeMenus() {
    const auto fill = [this](QMenu* menu, std::initializer_list<const char*> names) {
        for (const char* name : names) *name ? menu->addAction(m_actions[name]) : (void)menu->addSeparator();
    };
    QMenu* file = menuBar()->addMenu(tr("&File"));
    fill(file, {"new", "open"});
    m_recent = file->addMenu(tr("Open recent"));
    connect(m_recent, &QMenu::aboutToShow, this, &MainWindow::fillRecent);
    fill(file, {"", "overlay", "clear_overlays", "", "save", ""});
    fill(file->addMenu(icon("export"), tr("Export")),
         {"export_pdf", "export_svg", "export_png", "export_csv", "", "export_window"});
    fill(file, {"folder", "", "quit"});
    QMenu* run = menuBar()->addMenu(tr("&Run"));
    fill(run, {"start", "", "toggle", "run", "pause", "step", "stop", "checkpoint", ""});
    makeDeviceMenu(*run);
    fill(run, {"", "previous", "next", "live"});
    QMenu* view = menuBar()->addMenu(tr("&View"));
    view->addSection(tr("Canvas"));
    fill(view, {"maps", "projection", "lanes"});
    view->addSection(tr("Panels"));
    for (const char* name : {"runs", "steer", "experiment", "events", "metrics", "projection"})
        view->addAction(m_docks[name]->toggleViewAction());
    fill(view, {"", "layout", "light"});
    fill(menuBar()->addMenu(tr("&Help")), {"guide", "keys", "", "about"});
}

void MainWindow::makeDeviceMenu(QMenu& run) {
    QMenu* menu = run.addMenu(tr("Compute on"));
    auto* group = new QActionGroup(menu);
    const bool cuda = cudaAvailable();
    const auto add = [&](const char* device, const QString& text, const QString& help, bool enabled) {
        QAction* action = menu->addAction(text);
        action->setCheckable(true);
        action->setEnabled(enabled);
        action->setStatusTip(help);
        action->setData(QString(device));
        group->addAction(action);
    };
    add("auto", tr("Automatic"), tr("The graphics card where there is one and every lane has a form for it"), true);
    add("cpu", tr("Processor"), tr("From the next start on"), true);
    add("cuda", cuda ? QString::fromStdString(cudaDescription()) : tr("Graphics card"),
        cuda ? tr("From the next start on; lanes without a form for it are refused")
             : tr("Needs an NVIDIA card and a build with CUDA, but one of them is missing"),
        cuda);
    connect(menu, &QMenu::aboutToShow, this, [this, group] {
        for (QAction* action : group->actions())
            action->setChecked(action->data().toString().toStdString() == m_session.device());
    });
    connect(group, &QActionGroup::triggered, this,
            [this](QAction* action) { m_session.setDevice(action->data().toString().toStdString()); });
}

void MainWindow::makeToolBar() {
    QToolBar* bar = addToolBar(tr("Training"));
    bar->setObjectName("training");
    bar->setMovable(false);
    bar->setIconSize({18, 18});
    bar->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    for (const char* name : {"run", "pause", "step", "stop", "checkpoint"}) bar->addAction(m_actions[name]);
    auto* space = new QWidget;
    space->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
    bar->addWidget(space);
    for (const char* name : {"open", "keys"}) bar->addAction(m_actions[name]);
    m_actions["open"]->setIconText(tr("Open"));
}

void MainWindow::updateActions() {
    const Run* run = m_session.current();
    const bool live = run && run->live();
    const bool running = live && (run->record.state == RunState::Running || run->loading);
    const bool paused = live && run->record.state == RunState::Paused && !run->loading;
    const bool canResume = run && run->canGoOn();
    m_actions["run"]->setEnabled(paused || canResume);
    m_actions["pause"]->setEnabled(running);
    m_actions["toggle"]->setEnabled(running || paused || canResume);
    m_actions["step"]->setEnabled(live);
    m_actions["stop"]->setEnabled(live);
    m_actions["checkpoint"]->setEnabled(live);
    m_actions["clear_overlays"]->setEnabled(!m_session.overlays().all().empty());
    const QString title = run ? QString::fromStdString(run->record.experiment.title) : QString();
    setWindowTitle(title.isEmpty() ? QString("Linscope") : title + " · Linscope");
}

void MainWindow::post(CommandKind kind) {
    m_session.post(m_session.selection().run, {.kind = kind, .lane = -1, .value = 0});
}

void MainWindow::runOrResume() {
    const Run* run = m_session.current();
    if (!run) return;
    run->live() ? post(CommandKind::Run) : m_session.resume(run->id);
}

void MainWindow::runOrPause() {
    const Run* run = m_session.current();
    run && run->live() && run->record.state != RunState::Paused ? post(CommandKind::Pause) : runOrResume();
}

void MainWindow::askOpen() {
    const QString path = QFileDialog::getOpenFileName(this, tr("Open an experiment or a run"), runsFolder(),
                                                      tr("Experiments and runs (*.toml *.h5);;All files (*)"));
    if (path.isEmpty()) return;
    if (openPath(path)) showMessage(tr("The experiment is in the editor; Ctrl+Return starts it"), false);
}

void MainWindow::askOverlays() {
    for (const QString& file : QFileDialog::getOpenFileNames(this, tr("Lay runs over the charts"), runsFolder(),
                                                             tr("Runs (*.h5);;All files (*)")))
        m_session.overlays().lay(file);
}

void MainWindow::askRunsFolder() {
    const QString folder = QFileDialog::getExistingDirectory(this, tr("Where new runs are written"), runsFolder());
    if (folder.isEmpty()) return;
    setRunsFolder(folder);
    m_runs->showFolder();
}

void MainWindow::askSavePicture() {
    const QString path =
        QFileDialog::getSaveFileName(this, tr("Export the window"), "linscope.png", tr("PNG pictures (*.png)"));
    if (!path.isEmpty() && !picture().save(path, "PNG")) showMessage(tr("%1 cannot be written").arg(path), true);
}

void MainWindow::rememberRecent(const QString& path) {
    if (m_memory == Memory::Fresh) return;
    QSettings settings;
    QStringList recent = settings.value("recent").toStringList();
    const QString absolute = QFileInfo(path).absoluteFilePath();
    recent.removeAll(absolute);
    recent.prepend(absolute);
    settings.setValue("recent", recent.mid(0, kMostRecent));
}

void MainWindow::fillRecent() {
    m_recent->clear();
    const QStringList recent = QSettings().value("recent").toStringList();
    for (const QString& path : recent) {
        QAction* action = m_recent->addAction(QFileInfo(path).fileName(), this, [this, path] { openPath(path); });
        action->setStatusTip(path);
        action->setEnabled(QFileInfo::exists(path));
    }
    if (recent.isEmpty()) m_recent->addAction(tr("Nothing yet"))->setEnabled(false);
}

void MainWindow::offerLastRun() {
    if (m_memory == Memory::Fresh) return;
    for (const QString& path : QSettings().value("recent").toStringList()) {
        if (path.endsWith(".toml") || !QFileInfo::exists(path)) continue;
        if (!listCheckpoints(checkpointFolder(wholePath(path))).empty()) m_runs->offer(path);
        return;
    }
}

void MainWindow::chooseLook(Look look) {
    if (m_memory == Memory::Remembered) QSettings().setValue("theme", look == Look::Light ? "light" : "dark");
    applyTheme(*qApp, look);
}

void MainWindow::showKeys() {
    KeysDialog(m_actionOrder, this).exec();
}

void MainWindow::showAbout() {
    QMessageBox::about(
        this, tr("About Linscope"),
        tr("<b>Linscope</b>, a desktop workbench for linear attention.<p>It trains small transformers and "
           "shows, for the same step, the same weights and the same tokens, what an approximation does "
           "beside exact attention.<p>A map shows where a layer reads from. It is a measurement, not an "
           "explanation of what the model does."));
}

}  // namespace linscope::app
