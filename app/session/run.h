#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

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
    std::filesystem::path file;
    RunRecord record;
    Pace pace;
    TokenTexts tokenTexts;
    std::map<int, std::shared_ptr<const Snapshot>> newest;  ///< lane → newest snapshot
    std::optional<std::int64_t> untilStep;
    std::string error;     ///< why the run could not start or go on; empty when all is well
    bool loading = false;  ///< the file is being read, or the task and the lanes are being built

    std::unique_ptr<LiveFeed> feed;
    std::unique_ptr<RunWorker> worker;  // after the feed, which it writes to

    bool live() const { return worker != nullptr; }
    /// It has stopped before its last step.
    bool canGoOn() const { return !live() && !loading && error.empty() && record.lastStep < record.experiment.steps; }
    std::int64_t totalSteps() const { return untilStep.value_or(record.experiment.steps); }
};

}  // namespace linscope::app
