#include "core/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <limits>
#include <new>
#include <numbers>

#include "core/base/error.h"
#include "core/base/memory.h"
#include "core/data/task.h"
#include "core/train/checkpoint_state.h"
#include "core/train/device_check.h"
#include "core/train/lane.h"

namespace linscope {

using Clock = std::chrono::steady_clock;

struct Trainer::Work {
    Batch batch, validation, probe;
    std::vector<std::vector<Projection>> firstProjections;  // [lanes] as at step 0
    std::vector<std::unique_ptr<DeviceCheck>> checks;       // [lanes], or none
    std::vector<LaneState> told;                            // [lanes] as the listeners know it
    double wallSeconds = 0;
    bool checkpointPending = false;
    bool resumed = false;
    std::vector<std::int64_t> lastGood;  // [lanes] as in CheckpointHeader: never removed
};

namespace {

/// Throws Error where lanes cannot be had in this machine's memory, whatever else is in it: the system would give the
/// memory, and end the program when it is written to. Counted is less than is needed: weights with gradients and
/// moments, and of so many tokens in a step each block's input and the inner numbers of one MLP.
void requireMemory(const Experiment& experiment, std::int64_t tokens) {
    constexpr double kGigabyte = 1e9, kNumber = sizeof(float), kOfWeight = 4;  // value, gradient, two moments
    const ModelOptions& model = experiment.model;
    const auto number = [](std::int64_t value) { return static_cast<double>(value); };
    const double width = number(model.width), layers = number(model.layers), ratio = number(model.mlpRatio);
    const double weights = layers * (4 + 2 * ratio) * width * width;
    const double needed = number(std::ssize(experiment.lanes)) * kNumber *
                          (kOfWeight * weights + number(tokens) * width * (layers + ratio));
    const auto there = static_cast<double>(machineMemory());
    require(
        needed <= there, "memory",
        "at most {:.1f} GB, all that this machine has, were required, but {:.1f} GB and more are needed for "
        "model.width {}, model.layers {}, task.length {}, task.batch {} and {} as number of lanes; make one of them "
        "smaller",
        there / kGigabyte, needed / kGigabyte, model.width, model.layers, experiment.length(), experiment.batch(),
        experiment.lanes.size());
}

}  // namespace

Trainer::Trainer(Experiment experiment, Device device)
    : m_experiment(std::move(experiment)), m_work(std::make_unique<Work>()) {
    m_experiment.validate();
    // On a device it is the device's memory that has to do.
    requireMemory(m_experiment, device == Device::Cpu ? m_experiment.batch() * m_experiment.length() : 0);
    m_task = findTask(m_experiment.task.name)
                 .create(m_experiment.task.options, static_cast<std::uint64_t>(m_experiment.seed));
    for (std::size_t i = 0; i < m_experiment.lanes.size(); ++i) {
        m_lanes.push_back(std::make_unique<Lane>(m_experiment, i, *m_task, device));
        m_work->firstProjections.push_back(m_lanes.back()->projections());
        m_work->told.push_back(LaneState::Running);
        m_work->lastGood.push_back(-1);
    }
    m_task->validationBatch(0, m_work->probe);
}

Trainer::~Trainer() = default;

void Trainer::checkDevice(double fraction) {
    m_work->checks.clear();
    for (const auto& lane : m_lanes)
        m_work->checks.push_back(std::make_unique<DeviceCheck>(m_experiment, *m_task, *lane, fraction));
}

void Trainer::addListener(EventSink& listener) {
    m_listeners.push_back(&listener);
}

void Trainer::removeListener(EventSink& listener) {
    std::erase(m_listeners, &listener);
}

void Trainer::emit(const Event& event) {
    for (EventSink* listener : m_listeners) {
        try {
            listener->onEvent(event);
        } catch (const StorageFull& full) {
            m_blocked = full.what();
        } catch (const FileLost& lost) {
            m_lost = lost.what();
        }
    }
}

void Trainer::retry() {
    m_blocked.clear();
    if (m_work->checkpointPending)
        saveCheckpoint();
    else
        flushListeners();
}

void Trainer::flushListeners() {
    for (EventSink* listener : m_listeners) {
        try {
            listener->flush();
        } catch (const StorageFull& full) {
            m_blocked = full.what();
        } catch (const FileLost& lost) {
            m_lost = lost.what();
        }
    }
}

void Trainer::begin() {
    if (m_work->resumed) return;
    snapshots(true);  // first: a person sees maps while the rest is computed
    validate(1);      // one batch tells that nothing is learned yet
    probe();
    saveCheckpoint();  // the initial weights: never removed, so that any program can start from them
}

void Trainer::step() {
    const auto start = Clock::now();
    m_task->nextBatch(m_work->batch);
    ++m_step;
    StepEvent event{.step = m_step};
    event.lanes.resize(m_lanes.size());
    for (const auto& lane : m_lanes) {
        if (lane->state() != LaneState::Running) continue;
        std::string change;
        if (attempt(*lane, [&] { change = lane->beforeStep(m_step); }) && !change.empty())
            emit(CommandEvent{m_step, lane->index(), "redraw", "", std::move(change)});
    }
    std::vector<DeviceCheckEvent> checked;
    stepLanes(event.lanes, checked);
    m_work->wallSeconds += std::chrono::duration<double>(Clock::now() - start).count();
    event.wallSeconds = m_work->wallSeconds;
    emit(event);
    for (DeviceCheckEvent& check : checked) emit(std::move(check));
    tellStopped();
    const auto due = [&](std::int64_t every) { return every > 0 && (m_step % every == 0 || finished()); };
    if (due(m_experiment.probes.validateEvery)) validate();
    if (due(m_experiment.probes.every)) probe();
    if (due(m_experiment.probes.snapshotEvery)) snapshots(true);
    checkpointIfDue();
}

bool Trainer::attempt(Lane& lane, const std::function<void()>& work) {
    try {
        work();
        return true;
    } catch (const std::bad_alloc&) {
        lane.fail("[memory] more memory was needed than this machine has left; make task.length or task.batch smaller");
    } catch (const std::exception& error) {
        lane.fail(error.what());
    }
    return false;
}

void Trainer::tellStopped() {
    for (const auto& lane : m_lanes) {
        LaneState& told = m_work->told[static_cast<std::size_t>(lane->index())];
        if (lane->state() == told) continue;
        told = lane->state();
        emit(LaneStateEvent{m_step, lane->index(), lane->state(), lane->message()});
        for (const auto& [step, path] : listCheckpoints(m_checkpointFolder))
            if (step <= m_step) m_work->lastGood[static_cast<std::size_t>(lane->index())] = step;
    }
}

void Trainer::stepLanes(std::vector<LaneStep>& results, std::vector<DeviceCheckEvent>& checked) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    std::ranges::fill(results, LaneStep{nan, nan, nan, nan, nan, nan, nan, false});
    const auto ofRunning = [&](auto&& work) {
        for (std::size_t i = 0; i < m_lanes.size(); ++i) {
            Lane& lane = *m_lanes[i];
            if (lane.state() != LaneState::Running) continue;
            const bool check = !m_work->checks.empty() && m_work->checks[i]->due(m_step);
            attempt(lane, [&] { work(lane, check ? m_work->checks[i].get() : nullptr, results[i]); });
        }
    };
    // On a device all lanes begin before the first is waited for, so that they run beside one another.
    ofRunning([&](Lane& lane, DeviceCheck* check, LaneStep&) {
        if (check) check->takeOver(lane);
        lane.begin(m_work->batch, m_step);
    });
    ofRunning([&](Lane&, DeviceCheck* check, LaneStep&) {
        if (check) check->compute(m_work->batch);
    });
    ofRunning([&](Lane& lane, DeviceCheck* check, LaneStep& result) {
        result = lane.finish(m_work->batch);
        if (check) checked.push_back(check->compare(lane, result, m_step));
    });
}

void Trainer::validate() {
    validate(m_experiment.probes.validationBatches);
}

void Trainer::validate(std::int64_t count) {
    const bool bytes = findTask(m_experiment.task.name).predictsBytes;
    for (const auto& lane : m_lanes) {
        if (lane->state() != LaneState::Running) continue;
        ValidationEvent event{.step = m_step, .lane = lane->index()};
        const auto batches = static_cast<double>(count);
        const bool done = attempt(*lane, [&] {
            for (std::int64_t i = 0; i < count; ++i) {
                m_task->validationBatch(i, m_work->validation);
                const LaneStep result = lane->evaluate(m_work->validation);
                event.loss += result.loss / batches;
                event.accuracy += result.accuracy / batches;
            }
        });
        if (!done) continue;
        event.bitsPerByte = bytes ? event.loss / std::numbers::ln2 : std::numeric_limits<double>::quiet_NaN();
        emit(event);
    }
    tellStopped();
}

void Trainer::probe() {
    for (const auto& lane : m_lanes) {
        if (lane->state() == LaneState::Failed) continue;
        const auto start = Clock::now();
        ProbeEvent event{.step = m_step, .lane = lane->index()};
        std::vector<Projection> now;
        if (!attempt(*lane, [&] { now = lane->projections(); })) continue;
        const std::vector<Projection>& first = m_work->firstProjections[static_cast<std::size_t>(lane->index())];
        for (std::size_t i = 0; i < now.size(); ++i)
            event.projections.push_back({now[i].label(), now[i].slots, now[i].length,
                                         projectionHealth(now[i].values, first[i].values, now[i].slots, now[i].length),
                                         now[i].layer, now[i].head});
        if (event.projections.empty()) continue;
        event.milliseconds = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
        emit(event);
    }
    tellStopped();
}

void Trainer::snapshots(bool store) {
    for (const auto& lane : m_lanes) {
        if (lane->state() == LaneState::Failed) continue;
        std::shared_ptr<Snapshot> taken;
        if (attempt(*lane, [&] { taken = lane->snapshot(m_work->probe, m_experiment.probes.samples, m_step); }))
            emit(SnapshotEvent{std::move(taken), store});
    }
    tellStopped();
}

void Trainer::emitLiveSnapshots() {
    snapshots(false);
}

void Trainer::apply(const Command& command) {
    const auto ofLane = [&](const Lane& lane) { return command.lane < 0 || command.lane == lane.index(); };
    CommandEvent event{.step = m_step, .lane = command.lane};
    switch (command.kind) {
        case CommandKind::SetLearningRate:
            require(std::isfinite(command.value) && command.value >= 0, "learning rate", "at least 0, but got {}",
                    command.value);
            event.name = "set_learning_rate";
            event.newValue = fmt::format("{}", command.value);
            for (const auto& lane : m_lanes) {
                if (!ofLane(*lane)) continue;
                event.oldValue = fmt::format("{}", lane->peakLearningRate());
                lane->setPeakLearningRate(command.value);
            }
            break;
        case CommandKind::Freeze:
        case CommandKind::Unfreeze: {
            const bool freeze = command.kind == CommandKind::Freeze;
            event.name = freeze ? "freeze" : "unfreeze";
            for (const auto& lane : m_lanes) {
                if (!ofLane(*lane)) continue;
                event.oldValue = lane->projectionsFrozen() ? "frozen" : "trained";
                lane->setProjectionsFrozen(freeze);
            }
            event.newValue = freeze ? "frozen" : "trained";
            break;
        }
        case CommandKind::Checkpoint:
            emit(CommandEvent{.step = m_step, .name = "checkpoint"});
            saveCheckpoint();
            return;
        default:
            fail("trainer", "a command that concerns training, but got kind {}", static_cast<int>(command.kind));
    }
    emit(event);
}

void Trainer::setCheckpointFolder(std::filesystem::path folder, std::string run) {
    m_checkpointFolder = std::move(folder);
    m_runId = std::move(run);
}

void Trainer::checkpointIfDue() {
    const std::int64_t every = m_experiment.checkpoint.every;
    if (!m_checkpointFolder.empty() && every > 0 && m_step % every == 0) saveCheckpoint();
}

void Trainer::saveCheckpoint() {
    // Whoever resumes a run of which no lane is left does so from before.
    m_work->checkpointPending = false;
    if (m_checkpointFolder.empty() || !anyLaneRuns()) return;
    // What cannot be read any more is found out before a file is begun.
    for (const auto& lane : m_lanes)
        if (lane->state() != LaneState::Failed) attempt(*lane, [&] { std::as_const(*lane).parameters(); });
    tellStopped();
    const std::filesystem::path path = m_checkpointFolder / checkpointName(m_step);
    // Logged first: whoever resumes from this checkpoint finds everything up to its step in the run file.
    flushListeners();
    m_work->checkpointPending = !m_blocked.empty();
    if (m_work->checkpointPending) return;
    try {
        std::filesystem::create_directories(m_checkpointFolder);
        writeCheckpoint(
            path, {m_step, m_work->wallSeconds, m_experiment.toToml(), m_runId, m_task->cursor(), m_work->lastGood},
            m_lanes);
    } catch (const StorageFull& full) {
        m_blocked = full.what();
        m_work->checkpointPending = true;
        return;
    } catch (const std::filesystem::filesystem_error& error) {
        fail("checkpoint", "a folder that can be written at {}, but got: {}", m_checkpointFolder.string(),
             error.code().message());
    }
    pruneCheckpoints(m_checkpointFolder, m_step, m_experiment.checkpoint.keep, m_work->lastGood);
    emit(CheckpointEvent{m_step, path.string()});
}

void Trainer::loadCheckpoint(const std::filesystem::path& path, std::optional<int> lane) {
    const CheckpointHeader header = readCheckpoint(path, m_lanes, lane);
    m_step = header.step;
    m_work->resumed = true;
    m_work->wallSeconds = header.wallSeconds;
    m_work->lastGood = header.lastGood;
    m_task->setCursor(header.cursor);
    for (const auto& own : m_lanes) m_work->told[static_cast<std::size_t>(own->index())] = own->state();
}

bool Trainer::anyLaneRuns() const {
    return std::ranges::any_of(m_lanes, [](const auto& lane) { return lane->state() == LaneState::Running; });
}

bool Trainer::finished() const {
    return m_step >= m_experiment.steps || !anyLaneRuns();
}

std::size_t Trainer::laneCount() const {
    return m_lanes.size();
}

Lane& Trainer::lane(std::size_t index) {
    return *m_lanes.at(index);
}

}  // namespace linscope
