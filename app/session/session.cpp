#include "app/session/session.h"

#include <algorithm>

#include "app/cli/run_plan.h"
#include "app/session/runs_folder.h"
#include "core/train/checkpoint_state.h"

namespace linscope::app {

namespace {

constexpr int kDrainMilliseconds = 33;

bool isWrittenElsewhere(const Run& run) {
    std::error_code ignored;
    return !run.live() && std::filesystem::is_regular_file(run.file, ignored) && isBeingWritten(run.file);
}

}  // namespace

Session::Session(QObject* parent) : QObject(parent) {
    m_drainTimer.setSingleShot(true);
    m_drainTimer.setInterval(kDrainMilliseconds);
    connect(&m_drainTimer, &QTimer::timeout, this, qOverload<>(&Session::drain));
    connect(&m_overlays, &Overlays::message, this, &Session::message);
}

Session::~Session() {
    shutdown();
}

const Run* Session::run(int id) const {
    for (const auto& run : m_runs)
        if (run->id == id) return run.get();
    return nullptr;
}

Run* Session::find(int id) {
    return const_cast<Run*>(run(id));
}

Run& Session::add(const std::filesystem::path& file) {
    auto run = std::make_unique<Run>();
    run->id = m_nextId++;
    run->file = file;
    m_runs.push_back(std::move(run));
    return *m_runs.back();
}

void Session::stopTraining() {
    for (const auto& run : m_runs) {
        if (!run->live() || !run->worker) continue;
        run->worker->requestStop();
        const QString title = QString::fromStdString(run->record.experiment.title);
        // Behind what the choice of another run says.
        QMetaObject::invokeMethod(
            this,
            [this, title, step = run->record.lastStep] {
                Q_EMIT message(tr("One run trains at a time: “%1” stopped at step %2 with a checkpoint, from which it "
                                  "can go on.")
                                   .arg(title)
                                   .arg(step),
                               false);
            },
            Qt::QueuedConnection);
    }
}

int Session::start(const Experiment& experiment, const StartOptions& options) {
    stopTraining();
    Run& run = add({});
    run.record = RunRecord::fromExperiment(experiment);
    run.untilStep = options.untilStep;
    const int id = run.id;
    try {
        run.file = newRunFile(options.folder.isEmpty() ? runsFolder() : options.folder, experiment.title);
        launch(run, {.experiment = experiment, .file = run.file, .untilStep = options.untilStep, .checkpoint = {}});
    } catch (const std::exception& error) {
        run.error = error.what();
        run.record.state = RunState::Stopped;
        Q_EMIT message(QString::fromStdString(run.error), true);
    }
    Q_EMIT runAdded(id);
    selectRun(id);
    return id;
}

void Session::launch(Run& run, RunRequest request) {
    const int id = run.id;
    request.device = m_device;
    run.loading = true;
    run.error.clear();
    run.record.health = RunHealth::Whole;
    // The worker's thread only posts; everything of a run changes on this thread.
    run.feed = std::make_unique<LiveFeed>([this, id] { QMetaObject::invokeMethod(this, [this, id] { wake(id); }); });
    RunWorker::Callbacks callbacks;
    callbacks.started = [this, id](RunStart start) {
        QMetaObject::invokeMethod(this, [this, id, start = std::move(start)] { onStarted(id, start); });
    };
    callbacks.ended = [this, id](RunEnd end) {
        QMetaObject::invokeMethod(this, [this, id, end = std::move(end)] { onEnded(id, end); });
    };
    run.worker = std::make_unique<RunWorker>(std::move(request), *run.feed, std::move(callbacks));
}

int Session::open(const QString& file) {
    const std::filesystem::path path = wholePath(file);
    for (const auto& run : m_runs)
        if (run->file == path) {
            selectRun(run->id);
            // What another program wrote meanwhile is what a person opens it again for.
            if (!run->live() && !run->loading && run->record.health == RunHealth::BeingWritten) read(*run);
            return run->id;
        }
    Run& run = add(path);
    run.record.experiment.title = path.filename().string();
    run.record.state = RunState::Stopped;
    const int id = run.id;
    run.loading = true;
    Q_EMIT runAdded(id);
    read(run);
    return id;
}

void Session::read(Run& run) {
    const std::filesystem::path path = run.file;
    const int id = run.id;
    run.loading = true;
    m_loader.open(path, [this, id](SnapshotLoader::Opened opened) {
        Run* target = find(id);
        if (!target) return;
        target->loading = false;
        target->error = opened.error;
        if (opened.error.empty()) {
            target->record = std::move(opened.record);
            target->tokenTexts = std::move(opened.tokenTexts);
        }
        Q_EMIT runChanged(id);
        Q_EMIT runStateChanged(id);
        selectRun(id);
        if (!target->error.empty()) Q_EMIT message(QString::fromStdString(target->error), true);
        const auto steps = target->record.snapshotSteps();
        if (!steps.empty()) selectStep(steps.back());
    });
}

void Session::resume(int id) {
    Run* run = find(id);
    if (!run || run->live() || run->loading) return;
    // Before anything is stopped for it.
    if (isWrittenElsewhere(*run)) {
        run->record.health = RunHealth::BeingWritten;
        Q_EMIT runStateChanged(id);
        Q_EMIT message(tr("Another program goes on with this run; when that has ended, open its file again"), true);
        return;
    }
    const auto checkpoint = newestCheckpoint(checkpointFolder(run->file), run->record.lastStep);
    if (!checkpoint) {
        Q_EMIT message(tr("This run has no checkpoint to go on from; start its experiment as a new run instead."),
                       true);
        return;
    }
    stopTraining();
    run->untilStep.reset();
    launch(*run, {.experiment = run->record.experiment, .file = run->file, .untilStep = {}, .checkpoint = checkpoint});
    selectStep(std::nullopt);
    Q_EMIT runStateChanged(id);
}

void Session::close(int id) {
    const auto found = std::find_if(m_runs.begin(), m_runs.end(), [id](const auto& run) { return run->id == id; });
    if (found == m_runs.end()) return;
    const auto position = static_cast<std::size_t>(found - m_runs.begin());
    m_runs.erase(found);
    Q_EMIT runRemoved(id);
    if (m_selection.run != id) return;
    m_selection = {};
    if (!m_runs.empty())
        selectRun(m_runs[std::min(position, m_runs.size() - 1)]->id);
    else
        Q_EMIT selectionChanged();
}

void Session::shutdown() {
    m_drainTimer.stop();
    for (const auto& run : m_runs)
        if (run->worker) run->worker->requestStop();
    for (const auto& run : m_runs) run->worker.reset();
}

void Session::post(int id, Command command) {
    if (Run* run = find(id); run && run->worker) run->worker->post(std::move(command));
}

void Session::selectRun(int id) {
    if (m_selection.run == id || !run(id)) return;
    m_selection = {.run = id};
    m_loaded.clear();
    Q_EMIT selectionChanged();
    const auto steps = current()->record.snapshotSteps();
    if (!current()->live() && !steps.empty())
        selectStep(steps.back());
    else
        showSnapshots();
}

void Session::selectHead(int lane, int layer, int head) {
    if (m_selection.lane == lane && m_selection.layer == layer && m_selection.head == head) return;
    m_selection.lane = lane;
    m_selection.layer = layer;
    m_selection.head = head;
    Q_EMIT selectionChanged();
}

void Session::selectStep(std::optional<std::int64_t> step) {
    if (!current() || (m_selection.step == step && !(step && m_loaded.empty()))) return;
    m_selection.step = step;
    Q_EMIT selectionChanged();
    if (!step) {
        m_loaded.clear();
        showSnapshots();
        return;
    }
    m_loaded.clear();
    const int id = m_selection.run;
    m_loader.load(current()->file, *step, [this, id, step](SnapshotLoader::Loaded loaded) {
        if (m_selection.run != id || m_selection.step != step) return;
        if (!loaded.error.empty()) Q_EMIT message(QString::fromStdString(loaded.error), true);
        m_loaded = std::move(loaded.snapshots);
        showSnapshots();
    });
}

std::vector<std::shared_ptr<const Snapshot>> Session::shownSnapshots() const {
    if (m_selection.step) return m_loaded;
    std::vector<std::shared_ptr<const Snapshot>> shown;
    if (const Run* run = current())
        for (const auto& [lane, snapshot] : run->newest) shown.push_back(snapshot);
    return shown;
}

void Session::showSnapshots() {
    for (const auto& snapshot : shownSnapshots()) Q_EMIT snapshotChanged(snapshot);
}

void Session::wake(int id) {
    if (find(id) && !m_drainTimer.isActive()) m_drainTimer.start();
}

void Session::drain() {
    for (std::size_t i = 0; i < m_runs.size(); ++i)
        if (m_runs[i]->feed) drain(*m_runs[i]);
}

void Session::drain(Run& run) {
    LiveFeed::Batch batch = run.feed->take();
    if (batch.events.empty() && batch.snapshots.empty()) return;
    bool stateChanged = false;
    for (const Event& event : batch.events) {
        run.record.apply(event);
        if (const auto* step = std::get_if<StepEvent>(&event)) run.pace.add(step->step, step->wallSeconds);
        if (const auto* lane = std::get_if<LaneStateEvent>(&event)) {
            stateChanged = true;
            if (lane->state != LaneState::Running)
                Q_EMIT message(tr("Lane %1 stopped at step %2: %3")
                                   .arg(lane->lane)
                                   .arg(lane->step)
                                   .arg(QString::fromStdString(lane->message)),
                               true);
        }
        stateChanged = stateChanged || std::holds_alternative<RunStateEvent>(event);
    }
    if (batch.lost > 0)
        run.record.note(LogKind::Note, tr("%1 events came faster than the window took them and are missing from its "
                                          "charts; the run file has them")
                                           .arg(batch.lost)
                                           .toStdString());
    for (auto& [lane, snapshot] : batch.snapshots) run.newest[lane] = snapshot;

    Q_EMIT runChanged(run.id);
    if (stateChanged) Q_EMIT runStateChanged(run.id);
    if (m_selection.run == run.id && !m_selection.step)
        for (const auto& [lane, snapshot] : batch.snapshots) Q_EMIT snapshotChanged(snapshot);
}

void Session::onStarted(int id, RunStart start) {
    Run* run = find(id);
    if (!run) return;
    run->loading = false;
    run->record.place = std::move(start.place);
    run->record.taskDescription = std::move(start.taskDescription);
    run->record.baselines = std::move(start.baselines);
    run->tokenTexts = std::move(start.tokenTexts);
    // What the trainer says of a lane counts, which has gone back to a checkpoint.
    run->record.rewind(start.step);
    for (std::size_t i = 0; i < start.lanes.size() && i < run->record.lanes.size(); ++i) {
        run->record.lanes[i].parameters = start.lanes[i].parameters;
        run->record.lanes[i].state = start.lanes[i].state;
        run->record.lanes[i].message = start.lanes[i].message;
        run->record.freezable[i] = start.lanes[i].projectionsTrainable;
        run->record.frozen[i] = start.lanes[i].projectionsFrozen;
        run->record.peakRates[i] = start.lanes[i].peakLearningRate;
    }
    Q_EMIT runStateChanged(id);
    Q_EMIT runChanged(id);
    if (m_selection.run == id) Q_EMIT selectionChanged();
}

void Session::onEnded(int id, RunEnd end) {
    Run* run = find(id);
    if (!run) return;
    drain(*run);
    run->worker.reset();
    run->loading = false;
    run->error = std::move(end.error);
    if (run->error.empty()) {
        run->record.state = end.state;
    } else {
        run->record.state = RunState::Stopped;
        run->record.note(LogKind::Note, run->error);
        Q_EMIT message(QString::fromStdString(run->error), true);
    }
    Q_EMIT runChanged(id);
    Q_EMIT runStateChanged(id);
}

}  // namespace linscope::app
