#pragma once

#include <QString>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/session/live_feed.h"
#include "app/session/run_record.h"
#include "app/session/run_worker.h"

namespace linscope::app {

/// How fast a run goes, over its last few seconds.
class Pace {
public:
    void add(std::int64_t step, double wallSeconds);
    double stepsPerSecond() const;  ///< 0 when not known
private:
    std::deque<std::pair<std::int64_t, double>> m_recent;
};

/// One open run: live, or read from its file. Only the session changes it.
struct Run {
    int id = 0;
    std::filesystem::path file;  ///< of a new run empty until its worker has made it
    RunRecord record;
    Pace pace;
    TokenTexts tokenTexts;
    std::map<int, std::shared_ptr<const Snapshot>> newest;  ///< lane → newest snapshot
    std::optional<std::int64_t> untilStep;
    std::string error;     ///< why the run could not start or go on; empty when all is well
    bool loading = false;  ///< the file is being read, or the task and the lanes are being built

    std::unique_ptr<LiveFeed> feed;
    std::unique_ptr<RunWorker> worker;  // after the feed, which it writes to
    std::optional<RunRequest> waiting;  ///< to begin once the run that trains has ended
    std::vector<Command> asked;         ///< of one that waits
    bool givesWay = false;              ///< it was asked to stop for another run

    bool live() const { return worker || waiting; }
    /// Steps are left of those that it was planned for.
    bool unfinished() const { return record.lastStep < record.experiment.steps; }
    /// It has stopped before its last step, and no other program goes on with it.
    bool canGoOn() const {
        return !live() && !loading && error.empty() && record.health != RunHealth::BeingWritten && unfinished();
    }
    std::int64_t totalSteps() const { return untilStep.value_or(record.experiment.steps); }
};

/// "running", "preparing", "failed", "cut off", …: the state in a word or two.
QString stateText(const Run& run);
/// What a person needs beside it: what a run waits for, that another program trains it; empty where nothing is.
QString stateDetail(const Run& run);

}  // namespace linscope::app
