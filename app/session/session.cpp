#include "app/session/session.h"

#include <algorithm>
#include <utility>

#include "app/runs/run_files.h"
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

bool Session::training() const {
    const auto trains = [](const auto& run) { return run->worker != nullptr; };
    return std::ranges::any_of(m_runs, trains) || std::ranges::any_of(m_leaving, trains);
}

void Session::begin(Run& run, RunRequest request) {
    run.loading = true;
    run.error.clear();
    run.record.health = RunHealth::Whole;
    run.waiting = std::move(request);
    for (const auto& other : m_runs) {
        if (other->id == run.id || !other->live()) continue;
        if (other->waiting) {
            giveUp(*other);
        } else if (!std::exchange(other->givesWay, true)) {
            other->worker->requestStop();
        }
    }
    launchWaiting();
}

void Session::launchWaiting() {
    if (training()) return;
    const auto found = std::ranges::find_if(m_runs, [](const auto& run) { return run->waiting.has_value(); });
    if (found == m_runs.end()) return;
    RunRequest request = std::move(*(*found)->waiting);
    (*found)->waiting.reset();
    launch(**found, std::move(request));
}

void Session::giveUp(Run& run) {
    // One that was to go on is as it was.
    if (!run.waiting->goesOn) run.error = tr("It was stopped before it began").toStdString();
    run.waiting.reset();
    run.asked.clear();
    run.loading = false;
    run.record.state = RunState::Stopped;
    Q_EMIT runStateChanged(run.id);
}

int Session::start(const Experiment& experiment, const StartOptions& options) {
    Run& run = add({});
    run.record = RunRecord::fromExperiment(experiment);
    run.untilStep = options.untilStep;
    const int id = run.id;
    try {
        const auto wanted = newRunFile(options.folder.isEmpty() ? runsFolder() : options.folder, experiment.title);
        begin(run, {.experiment = experiment, .file = wanted, .untilStep = options.untilStep});
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
    run.givesWay = false;
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
    for (Command& command : std::exchange(run.asked, {})) run.worker->post(std::move(command));
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
    // What was closed a moment ago may still be ending: it is read when that is done.
    const bool leaving = std::ranges::any_of(m_leaving, [&](const auto& left) { return left->file == path; });
    if (!leaving) read(*m_runs.back());
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
    // Which one it goes on from is for the worker to say, who sees the file as it is then.
    const FoundCheckpoint found = findCheckpoint(checkpointFolder(run->file), run->record.lastStep);
    if (!found.file) {
        tellPassedOver(*run, found.passedOver);
        Q_EMIT message(tr("This run has no whole checkpoint to go on from; start its experiment as a new run instead."),
                       true);
        return;
    }
    run->untilStep.reset();
    begin(*run, {.experiment = run->record.experiment, .file = run->file, .untilStep = {}, .goesOn = true});
    selectStep(std::nullopt);
    Q_EMIT runStateChanged(id);
}

void Session::close(int id) {
    const auto found = std::find_if(m_runs.begin(), m_runs.end(), [id](const auto& one) { return one->id == id; });
    if (found == m_runs.end()) return;
    const auto position = static_cast<std::size_t>(found - m_runs.begin());
    std::unique_ptr<Run> run = std::move(*found);
    m_runs.erase(found);
    if (run->worker) {
        run->worker->requestStop();
        m_leaving.push_back(std::move(run));
    }
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
    for (const auto* list : {&m_runs, &m_leaving})
        for (const auto& run : *list) {
            run->waiting.reset();
            if (run->worker) run->worker->requestStop();
        }
    for (const auto* list : {&m_runs, &m_leaving})
        for (const auto& run : *list) run->worker.reset();
    m_leaving.clear();
}

void Session::post(int id, Command command) {
    Run* run = find(id);
    if (!run) return;
    if (run->worker)
        run->worker->post(std::move(command));
    else if (run->waiting && command.kind == CommandKind::Stop)
        giveUp(*run);
    else if (run->waiting)
        run->asked.push_back(std::move(command));
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
    run->file = start.file;
    tellPassedOver(*run, start.passedOver);
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

void Session::tellPassedOver(Run& run, const std::vector<std::string>& why) {
    for (const std::string& one : why) {
        run.record.note(LogKind::Note, "a checkpoint is passed over: " + one);
        Q_EMIT message(tr("A checkpoint is passed over: %1").arg(QString::fromStdString(one)), true);
    }
    if (!why.empty()) Q_EMIT runChanged(run.id);
}

void Session::onEnded(int id, RunEnd end) {
    if (Run* run = find(id)) {
        endOnList(*run, end);
    } else if (const auto left = std::ranges::find_if(m_leaving, [id](const auto& one) { return one->id == id; });
               left != m_leaving.end()) {
        const std::filesystem::path file = (*left)->file;
        m_leaving.erase(left);
        if (!end.error.empty()) Q_EMIT message(QString::fromStdString(end.error), true);
        const auto again =
            std::ranges::find_if(m_runs, [&](const auto& one) { return one->file == file; });  // opened meanwhile
        if (again != m_runs.end() && (*again)->loading) read(**again);
    }
    launchWaiting();
}

void Session::endOnList(Run& run, const RunEnd& end) {
    drain(run);
    run.worker.reset();
    run.loading = false;
    run.error = end.error;
    if (run.error.empty()) {
        run.record.state = end.state;
        if (run.givesWay && end.state == RunState::Stopped)
            Q_EMIT message(
                tr("One run trains at a time: “%1” stopped at step %2 with a checkpoint, from which it can go on.")
                    .arg(QString::fromStdString(run.record.experiment.title))
                    .arg(run.record.lastStep),
                false);
    } else {
        run.record.state = RunState::Stopped;
        run.record.note(LogKind::Note, run.error);
        Q_EMIT message(QString::fromStdString(run.error), true);
    }
    Q_EMIT runChanged(run.id);
    Q_EMIT runStateChanged(run.id);
}

}  // namespace linscope::app
