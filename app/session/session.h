#pragma once

#include <QObject>
#include <QString>
#include <QTimer>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "app/session/overlays.h"
#include "app/session/run.h"
#include "app/session/snapshot_loader.h"

namespace linscope::app {

/// What the panels look at. Without a step they follow the newest one.
struct Selection {
    int run = -1;
    int lane = 0, layer = 0, head = 0;
    std::optional<std::int64_t> step;
};

/// The one object that panels are handed: open runs, the selection, the worker threads. It lives on the
/// window's thread; news of live runs reach it at most 30 times a second.
class Session : public QObject {
    Q_OBJECT
public:
    explicit Session(QObject* parent = nullptr);
    /// As shutdown().
    ~Session() override;

    struct StartOptions {
        std::optional<std::int64_t> untilStep;
        QString folder;  ///< for the run file; runsFolder() when empty
    };
    /// Starts a run of its own file on a worker thread and selects it. One run trains at a time, since two would share
    /// the processor, or the memory of a device: another one is asked to stop, and this one begins when that has ended,
    /// which message() tells. Returns its id. What cannot be is told by the run's `error` and message().
    int start(const Experiment& experiment, const StartOptions& options);
    int start(const Experiment& experiment) { return start(experiment, StartOptions()); }
    /// Where runs compute that are started or gone on with from now on: "auto", "cpu" or "cuda", as for chosenDevice().
    void setDevice(std::string device) { m_device = std::move(device); }
    const std::string& device() const { return m_device; }
    /// Opens a run file and selects it when it has been read; a file that is open already is selected. Returns its id.
    int open(const QString& file);
    /// Goes on with a stopped run at its newest checkpoint, as start() begins; says so when there is none.
    void resume(int id);
    /// Takes a run off the list, and does not wait: a live one ends its step, saves a checkpoint and closes its file
    /// behind that.
    void close(int id);
    /// Stops all live runs after the step under way, with checkpoint and whole file. Blocks until then.
    void shutdown();

    void post(int id, Command command);

    const std::vector<std::unique_ptr<Run>>& runs() const { return m_runs; }
    const Run* run(int id) const;
    const Run* current() const { return run(m_selection.run); }
    const Selection& selection() const { return m_selection; }
    /// What lies over the charts of the selected run.
    Overlays& overlays() { return m_overlays; }
    const Overlays& overlays() const { return m_overlays; }

    void selectRun(int id);
    void selectHead(int lane, int layer, int head);
    /// A stored step of the current run, or the newest (nullopt).
    void selectStep(std::optional<std::int64_t> step);
    /// What the views draw now, one for each lane that has one.
    std::vector<std::shared_ptr<const Snapshot>> shownSnapshots() const;

Q_SIGNALS:
    void runAdded(int id);
    void runRemoved(int id);
    /// Numbers of the run have changed: steps, probes, events, states.
    void runChanged(int id);
    /// Running, paused, stopped, …, loading or failed: what the buttons follow.
    void runStateChanged(int id);
    void selectionChanged();
    /// A new picture of one lane of the current run.
    void snapshotChanged(std::shared_ptr<const linscope::Snapshot> snapshot);
    void message(const QString& text, bool isError);

private:
    Run* find(int id);
    Run& add(const std::filesystem::path& file);
    /// Reads the run's file and shows what is in it, in place of what was known.
    void read(Run& run);
    /// Launches the run when no other one trains any more, and asks those that do to stop.
    void begin(Run& run, RunRequest request);
    void launch(Run& run, RunRequest request);
    /// Launches what waits, unless something trains still.
    void launchWaiting();
    /// Of a run that waits: it will not begin.
    void giveUp(Run& run);
    bool training() const;
    void wake(int id);
    void drain();
    void drain(Run& run);
    void onStarted(int id, RunStart start);
    /// Of checkpoints that cannot be gone on from: notes in the run's log, and messages.
    void tellPassedOver(Run& run, const std::vector<std::string>& why);
    void onEnded(int id, RunEnd end);
    void endOnList(Run& run, const RunEnd& end);
    void showSnapshots();

    std::vector<std::unique_ptr<Run>> m_runs;
    std::vector<std::unique_ptr<Run>> m_leaving;            ///< off the list, while their workers end
    std::vector<std::shared_ptr<const Snapshot>> m_loaded;  // of the selected step
    Selection m_selection;
    SnapshotLoader m_loader;
    Overlays m_overlays{m_loader};
    QTimer m_drainTimer;
    std::string m_device = "auto";
    int m_nextId = 1;
};

}  // namespace linscope::app
