#pragma once

#include <QObject>
#include <QThreadPool>
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/session/run_record.h"
#include "app/session/run_worker.h"

namespace linscope::app {

/// Reads run files on a thread of its own, so that the window never waits for a disk.
/// Answers come back on the thread that this object lives in.
class SnapshotLoader : public QObject {
    Q_OBJECT
public:
    struct Opened {
        RunRecord record;
        TokenTexts tokenTexts;
        std::string error;  ///< empty when the file was read
    };
    struct Loaded {
        std::vector<std::shared_ptr<const Snapshot>> snapshots;
        std::string error;
    };

    explicit SnapshotLoader(QObject* parent = nullptr);
    ~SnapshotLoader() override;

    void open(const std::filesystem::path& file, std::function<void(Opened)> done);
    /// The stored snapshots of all lanes at `step`. A request that is not begun when the next one comes is
    /// dropped: a slider is followed, not every one of its steps.
    void load(const std::filesystem::path& file, std::int64_t step, std::function<void(Loaded)> done);

private:
    template <typename Work, typename Done>
    void post(Work work, Done done);

    struct OpenFile;
    std::shared_ptr<OpenFile> m_openFile;  // used on the pool's one thread only
    std::shared_ptr<std::atomic<int>> m_newestRequest = std::make_shared<std::atomic<int>>(0);
    QThreadPool m_pool;
};

}  // namespace linscope::app
